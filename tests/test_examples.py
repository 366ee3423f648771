"""The examples run as users run them. The main job, `make demo`, runs in .ci/run."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(script: str, *args: str) -> str:
    command = [sys.executable, str(EXAMPLES / script), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


def test_tutorial():
    assert "Tutorial complete." in run("etace_tutorial.py")


def test_md_from_file(tmp_path):
    from acepair import ace1_model, save_model

    model = ace1_model(elements=["Si"], order=2, totaldegree=4)
    save_model(model, tmp_path / "si.acepair")
    lines = run("md_from_file.py", str(tmp_path / "si.acepair")).splitlines()
    assert len(lines) == 12  # a header, step 0 and every hundredth of 1000 steps
