"""The inputs in examples/lammps run."""

from pathlib import Path

import pytest
from reference.copper import copper
from reference.lammps_run import run

from acepair import save_model

EXAMPLES = Path(__file__).parents[1] / "examples" / "lammps"


@pytest.mark.parametrize("name", ["in.nve", "in.melt", "in.conductivity"])
def test_input(name, tmp_path):
    """With fewer steps, smaller cells and a model of copper, which is there without a fit."""
    save_model(copper(), tmp_path / "model.acepair")
    script = (EXAMPLES / name).read_text().replace("diamond 5.45", "fcc 3.6").replace("Si", "Cu")
    for size in ("8", "5"):
        script = script.replace(f"0 {size} 0 {size} 0 {size}", "0 4 0 4 0 4")
    script = script.replace("equal 2000 ", "equal 4 ").replace("run         5000", "run         50")
    script = f"variable model index model.acepair\nvariable steps index 30\n{script}"
    output = run(script, tmp_path).stdout
    assert "Loop time" in output
    if name == "in.conductivity":
        assert "thermal conductivity:" in output
