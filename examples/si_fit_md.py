"""Fit silicon to published data, check the fit, run molecular dynamics: the main job, also `make demo`.

    python examples/si_fit_md.py [--totaldegree 12] [--E0 0] [--ps 10] [--output DIR]

1. Build an ACE model (`ace1_model`, correlation order 3).
2. Assemble the design matrix of the Zuo et al. (2020) training set, one configuration per CPU at a time; a QR
   decomposition takes up the rows in batches, so that memory does not grow with the training set.
3. Solve the regularised least-squares problem; generalised cross-validation chooses the regularisation.
4. Print errors of the test set, save the model.
5. Run NVE molecular dynamics of 1000 atoms around 600 K with the saved model through ASE.

Writes si.acepair, parity.png and energy.png.

`--totaldegree 20 16 12` is the small model of the published ACE fits, with MAE 3.52 meV/atom and 0.08 eV/Å on
the same test set (ACEpotentials.jl, pull request 244). Like these fits, this one has no one-body energy; with
`--E0 -5.15`, about the mean of the training set, the test set's energies come out a tenth better.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.io import read
from ase.md.verlet import VelocityVerlet
from tqdm import tqdm

from acepair import (
    ACECalculator,
    ACEModel,
    ace1_model,
    energy_forces_virial,
    energy_forces_virial_basis,
    length_basis,
    save_model,
    set_linear_parameters,
)

DATA = Path(__file__).parent / "data"
ENERGY_WEIGHT, FORCE_WEIGHT = 30.0, 1.0  # of √n_atoms (E − E_ref)/n_atoms in eV and of forces in eV/Å
PRIOR_POWER = 4
BATCH = 32  # configurations whose rows are in memory together
EQUILIBRATION = 2000  # MD steps that the drift does not count

Errors = dict[str, dict[str, np.ndarray]]  # configuration type → "E" or "F" → pairs (reference, model)


def main() -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--totaldegree", type=float, nargs="+", default=[12], help="one for all orders or one per order"
    )
    parser.add_argument("--E0", type=float, default=0.0, help="one-body energy (eV), 0 unless given")
    parser.add_argument("--ps", type=float, default=10.0, help="length of the MD run after 2 ps of equilibration")
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    degree = args.totaldegree if len(args.totaldegree) > 1 else args.totaldegree[0]
    model = ace1_model(elements=["Si"], order=3, totaldegree=degree, Eref={"Si": args.E0})
    print(f"{model}\n{length_basis(model)} linear parameters")
    training, test = read(DATA / "zuo_Si_train.xyz.gz", ":"), read(DATA / "zuo_Si_test.xyz.gz", ":")

    start = time.perf_counter()
    gamma = prior(model)
    R, n_rows = assemble(model, training, gamma)
    set_linear_parameters(model, solve(R, n_rows) / gamma)
    print(f"fitted {n_rows} × {len(gamma)} in {time.perf_counter() - start:.1f} s")

    errors = evaluate(model, test)
    print_table(errors)
    plot_parity(errors, args.output / "parity.png")

    path = args.output / "si.acepair"
    save_model(model, path)
    print(f"saved {path} ({path.stat().st_size / 1024:.0f} kB)")
    run_md(path, args.ps, args.output / "energy.png")


def prior(model: ACEModel) -> np.ndarray:
    """Return the algebraic smoothness prior Σ (l/wl)^p + (n/wn)^p of every function, wl = 2/3, wn = 1."""
    many_body = model.basis.coupling.mb_spec_of_B
    pair = [[nl] for nl in model.pair_rembed.spec]
    levels = [sum((l / (2 / 3)) ** PRIOR_POWER + n**PRIOR_POWER for n, l in factors) for factors in [*many_body, *pair]]
    return np.array(levels)


def assemble(model: ACEModel, configurations: Sequence[Atoms], gamma: np.ndarray) -> tuple[np.ndarray, int]:
    """Return R of [A/Γ | y] = Q R and the number of rows of A, the weighted design matrix.

    Normal equations would do with as little memory, but square the condition number, which is about 1e16 here.
    """

    def rows(atoms: Atoms) -> np.ndarray:
        basis = energy_forces_virial_basis(atoms, model)
        energy_weight = ENERGY_WEIGHT / np.sqrt(len(atoms))
        A = np.vstack([energy_weight * basis.energy, FORCE_WEIGHT * basis.forces.reshape(3 * len(atoms), -1)])
        energy = atoms.info["REF_energy"] - model.E0s["Si"] * len(atoms)
        y = np.append(energy_weight * energy, FORCE_WEIGHT * atoms.arrays["REF_forces"])
        return np.column_stack([A / gamma, y])

    R, n_rows = np.zeros((0, len(gamma) + 1)), 0
    with threads() as pool, tqdm(total=len(configurations), desc="assembling", unit="cfg") as bar:
        for first in range(0, len(configurations), BATCH):
            batch = list(pool.map(rows, configurations[first : first + BATCH]))
            R = np.linalg.qr(np.vstack([R, *batch]), mode="r")
            n_rows += sum(map(len, batch))
            bar.update(len(batch))
    return R, n_rows


def threads() -> ThreadPoolExecutor:
    """Return a thread per CPU of this process: they run at the same time, as kernels release the interpreter lock."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)))


def solve(R: np.ndarray, n_rows: int) -> np.ndarray:
    """Minimise |A θ − y|² + λ² |θ|² over θ for [A | y] = Q R, with the λ of least generalised cross-validation error.

    G. H. Golub, M. Heath, G. Wahba, Technometrics 21, 215 (1979).
    """
    U, s, Vt = np.linalg.svd(R[:-1, :-1])
    projected = U.T @ R[:-1, -1]
    outside = R[-1, -1] ** 2  # part of y that no θ reaches

    def gcv(log_lambda: float) -> float:
        kept = s**2 / (s**2 + np.exp(2 * log_lambda))
        return (outside + np.sum(((1 - kept) * projected) ** 2)) / (n_rows - kept.sum()) ** 2

    candidates = np.log(s[0]) + np.linspace(-30, 0, 301)
    best = np.exp(2 * min(candidates, key=gcv))
    return Vt.T @ (s / (s**2 + best) * projected)


def evaluate(model: ACEModel, configurations: Sequence[Atoms]) -> Errors:
    """Return energies per atom and force components, reference and model."""
    with threads() as pool:
        results = list(pool.map(lambda atoms: energy_forces_virial(atoms, model), configurations))
    pairs: dict[str, dict[str, list[np.ndarray]]] = defaultdict(lambda: {"E": [], "F": []})
    for atoms, result in zip(configurations, results, strict=True):
        energies = np.array([[atoms.info["REF_energy"], result.energy]]) / len(atoms)
        forces = np.column_stack([atoms.arrays["REF_forces"].ravel(), result.forces.ravel()])
        pairs[atoms.info["config_type"]]["E"].append(energies)
        pairs[atoms.info["config_type"]]["F"].append(forces)
    return {kind: {key: np.concatenate(parts) for key, parts in pairs[kind].items()} for kind in sorted(pairs)}


def print_table(errors: Errors) -> None:
    """Print RMSE and MAE by configuration type."""
    print("\nTest set         configurations   E (meV/atom)     F (eV/Å)")
    print("                                  RMSE     MAE     RMSE     MAE")
    for kind, entry in [*errors.items(), ("all", {key: together(errors, key) for key in ("E", "F")})]:
        (rmse_E, mae_E), (rmse_F, mae_F) = (rmse_mae(entry[key]) for key in ("E", "F"))
        print(f"{kind:<20}{len(entry['E']):>8}{1e3 * rmse_E:>11.2f}{1e3 * mae_E:>8.2f}{rmse_F:>9.4f}{mae_F:>8.4f}")
    print()


def together(errors: Errors, key: str) -> np.ndarray:
    """Return the pairs of all configuration types."""
    return np.concatenate([entry[key] for entry in errors.values()])


def rmse_mae(pairs: np.ndarray) -> tuple[float, float]:
    """Return both errors of pairs (reference, model)."""
    difference = pairs[:, 1] - pairs[:, 0]
    return float(np.sqrt(np.mean(difference**2))), float(np.mean(np.abs(difference)))


def plot_parity(errors: Errors, path: Path) -> None:
    """Draw model against reference, and the difference below."""
    quantities = {"E": ("energy", "eV/atom", 1e3, "meV/atom"), "F": ("force component", "eV/Å", 1, "eV/Å")}
    figure, axes = plt.subplots(
        2, 2, figsize=(9, 6), sharex="col", height_ratios=[3, 1.2], layout="constrained", squeeze=False
    )
    for (top, bottom), (key, (name, unit, scale, fine_unit)) in zip(axes.T, quantities.items(), strict=True):
        rmse, mae = rmse_mae(together(errors, key))
        for kind, entry in sorted(errors.items(), key=lambda item: -len(item[1][key])):  # the rarest on top
            reference, predicted = entry[key].T
            style = {"marker": "o", "ms": 4 if key == "E" else 2, "ls": "", "mew": 0, "alpha": 0.7, "label": kind}
            top.plot(reference, predicted, **style)
            bottom.plot(reference, scale * (predicted - reference), **style)
        low, high = together(errors, key).min(), together(errors, key).max()
        top.plot([low, high], [low, high], "k-", lw=0.7, zorder=0)
        top.set_title(f"MAE {scale * mae:.3g}, RMSE {scale * rmse:.3g} {fine_unit}", fontsize="medium")
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
