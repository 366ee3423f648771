"""Fit silicon to published data, check the fit, run molecular dynamics: the main job, also `make demo`.

    python examples/si_fit_md.py [--ps 10] [--output DIR]

1. Build an ACE model (`ace1_model`, correlation order 3, totaldegree 12).
2. Fit it to energies and forces of the Zuo et al. (2020) training set: regularised least squares, with the
   regularisation of largest evidence. The rows go into a QR decomposition in blocks, so that memory stays small.
3. Print errors of the training and test set, save the model.
4. Run NVE molecular dynamics of 1000 atoms around 600 K with the saved model through ASE.

Writes si.acepair, report.txt, parity.png and energy.png. The models of the published benchmark are larger, see
`benchmarks/zuo.py`; as there, no one-body energy is given. With E0s={"Si": -5.15}, about the mean of the training set,
the energies of the test set come out a tenth better.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from ase import units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet
from tqdm import tqdm

from acepair import ACECalculator, ace1_model
from acepair.fitting import ErrorTable, fit, read_dataset

DATA = Path(__file__).parent / "data"
EQUILIBRATION = 2000  # MD steps that the drift does not count


def main() -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ps", type=float, default=10.0, help="length of the MD run after 2 ps of equilibration")
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    model = ace1_model(elements=["Si"], order=3, totaldegree=12)
    print(model)
    # virials are labelled too; published fits do without them
    training, test = (read_dataset(DATA / f"zuo_Si_{part}.xyz.gz", virial_key=False) for part in ("train", "test"))
    print(f"training: {training}\ntest: {test}")

    result = fit(model, training, test=test, weights={"default": {"E": 30, "F": 1}}, progress=True)
    print(f"\n{result.report}\n")
    (args.output / "report.txt").write_text(result.report + "\n", encoding="utf-8")
    plot_parity(result.test, args.output / "parity.png")

    path = args.output / "si.acepair"
    result.save(path)
    print(f"wrote {path} ({path.stat().st_size / 1024:.0f} kB)")
    run_md(path, args.ps, args.output / "energy.png")


def plot_parity(errors: ErrorTable, path: Path) -> None:
    """Draw model against reference, and the difference below."""
    quantities = {"E": ("energy", "eV/atom", 1e3, "meV/atom"), "F": ("force component", "eV/Å", 1, "eV/Å")}
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex="col", height_ratios=[3, 1.2], layout="constrained")
    for (top, bottom), (key, (name, unit, scale, fine_unit)) in zip(axes.T, quantities.items(), strict=True):
        types = sorted(errors.data.types, key=lambda kind: -errors.pairs(key, kind).reference.size)  # the rarest on top
        for kind in types:
            reference, predicted = errors.pairs(key, kind)
            style = {"marker": "o", "ms": 4 if key == "E" else 2, "ls": "", "mew": 0, "alpha": 0.7, "label": kind}
            top.plot(reference, predicted, **style)
            bottom.plot(reference, scale * (predicted - reference), **style)
        every = errors.pairs(key).reference
        top.plot([every.min(), every.max()], [every.min(), every.max()], "k-", lw=0.7, zorder=0)
        mae, rmse = scale * errors.mae["set"][key], scale * errors.rmse["set"][key]
        top.set_title(f"MAE {mae:.3g}, RMSE {rmse:.3g} {fine_unit}", fontsize="medium")
        top.set_ylabel(f"{name}, ACE ({unit})")
        bottom.axhline(0, color="k", lw=0.7, zorder=0)
        bottom.set(xlabel=f"{name}, DFT ({unit})", ylabel=f"ACE − DFT ({fine_unit})")
    axes[0, 0].legend(frameon=False, fontsize="small")
    figure.align_ylabels()
    figure.suptitle("Silicon, Zuo et al. test set")
    save(figure, path)


def run_md(path: Path, picoseconds: float, plot_path: Path) -> None:
    """Run NVE around 600 K with a saved model; report the drift of the total energy and the speed."""
    atoms = bulk("Si", "diamond", a=5.47, cubic=True) * (5, 5, 5)
    calculator = ACECalculator(path)
    atoms.calc = calculator
    # Maxwell–Boltzmann momenta, of which equipartition turns half into potential energy
    widths = np.sqrt(atoms.get_masses() * units.kB * 1200)[:, None]
    momenta = widths * np.random.default_rng(1).normal(size=(len(atoms), 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    md = VelocityVerlet(atoms, 1 * units.fs)
    steps, every = EQUILIBRATION + round(1000 * picoseconds), 10
    record = []

    start = time.perf_counter()
    with tqdm(total=steps, desc=f"NVE, {len(atoms)} atoms", unit="step", mininterval=0.5) as bar:
        for _ in md.irun(steps):
            if md.nsteps % every == 0:
                record.append((md.nsteps / 1000, atoms.get_total_energy() / len(atoms), atoms.get_temperature()))
            bar.update(md.nsteps - bar.n)
    seconds = time.perf_counter() - start

    t, energy, temperature = np.array(record)[EQUILIBRATION // every :].T
    drift = np.polyfit(t, energy, 1)
    print(
        f"{temperature.mean():.0f} K, total energy drifts {drift[0]:.1e} eV/atom/ps over {picoseconds:g} ps, "
        f"{1e6 * seconds / steps / len(atoms):.2f} µs/atom-step ({calculator.threads} threads), "
        f"{calculator.neighbors.n_rebuilds} neighbour searches in {steps} steps"
    )
    plot_energy(t, energy, temperature, drift, plot_path)


def plot_energy(t: np.ndarray, energy: np.ndarray, temperature: np.ndarray, drift: np.ndarray, path: Path) -> None:
    """Draw total energy and temperature over time (ps)."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
    mean = energy.mean()
    top.plot(t, 1e6 * (energy - mean), lw=0.6, label="total energy less its mean")
    top.plot(t, 1e6 * (np.polyval(drift, t) - mean), "k--", lw=1, label=f"drift {1e6 * drift[0]:.2g} µeV/atom/ps")
    top.margins(y=0.3)
    top.set_ylabel("energy (µeV/atom)")
    top.legend(frameon=False, ncols=2, loc="upper center")
    bottom.plot(t, temperature, lw=0.6, color="tab:red", label=f"mean {temperature.mean():.0f} K")
    bottom.margins(y=0.3)
    bottom.set(xlabel="time (ps)", ylabel="temperature (K)")
    bottom.legend(frameon=False, loc="upper center")
    figure.suptitle("NVE, 1000 Si atoms, time step 1 fs")
    save(figure, path)


def save(figure: plt.Figure, path: Path) -> None:
    """Write a figure as PNG."""
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
