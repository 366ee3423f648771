"""Fit silicon to published data, check the fit, run molecular dynamics: the main job, also `make demo`.

    python examples/si_fit_md.py [--output DIR] [--ps 10]

1. Build an ACE model (`ace1_model`, correlation order 3, totaldegree 12).
2. Assemble the design matrix of the Zuo et al. (2020) training set, two threads at a time.
3. Solve the regularised least-squares problem; generalised cross-validation chooses the regularisation.
4. Print errors of the test set, save the model.
5. Run NVE molecular dynamics of 1000 atoms around 600 K with the saved model through ASE.

Writes si.acepair, parity.png and energy.png.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from ase import units
from ase.build import bulk
from ase.io import read
from ase.md.verlet import VelocityVerlet
from tqdm import tqdm

from acepair import (
    ACECalculator,
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


def main() -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    parser.add_argument("--ps", type=float, default=10.0, help="length of the MD run after 2 ps of equilibration")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    model = ace1_model(elements=["Si"], order=3, totaldegree=12)
    print(f"{model}\n{length_basis(model)} linear parameters")
    training, test = read(DATA / "zuo_Si_train.xyz.gz", ":"), read(DATA / "zuo_Si_test.xyz.gz", ":")

    start = time.perf_counter()
    A, y = assemble(model, training)
    set_linear_parameters(model, solve(A, y, prior(model)))
    print(f"fitted {A.shape[0]} × {A.shape[1]} in {time.perf_counter() - start:.1f} s")

    errors = evaluate(model, test)
    print_table(errors)
    plot_parity(errors, args.output / "parity.png")

    path = args.output / "si.acepair"
    save_model(model, path)
    print(f"saved {path} ({path.stat().st_size / 1024:.0f} kB)")
    run_md(path, args.ps, args.output / "energy.png")


def assemble(model, configurations):
    """Return weighted rows of energies and forces, and what they are to be."""

    def rows(atoms):
        basis = energy_forces_virial_basis(atoms, model)
        energy_weight = ENERGY_WEIGHT / np.sqrt(len(atoms))
        A = np.vstack([energy_weight * basis.energy, FORCE_WEIGHT * basis.forces.reshape(3 * len(atoms), -1)])
        y = np.append(energy_weight * atoms.info["REF_energy"], FORCE_WEIGHT * atoms.arrays["REF_forces"])
        return A, y

    blocks = parallel(rows, configurations, "assembling")
    return np.concatenate([A for A, _ in blocks]), np.concatenate([y for _, y in blocks])


def parallel(function, configurations, title):
    """Apply a function to all configurations, one per CPU at a time: the kernels release the interpreter lock."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(tqdm(pool.map(function, configurations), total=len(configurations), desc=title, unit="cfg"))


def prior(model):
    """Return the algebraic smoothness prior Σ (l/wl)^p + (n/wn)^p of every function, wl = 2/3, wn = 1."""
    many_body = model.basis.coupling.mb_spec_of_B
    pair = [[nl] for nl in model.pair_rembed.spec]
    levels = [sum((l / (2 / 3)) ** PRIOR_POWER + n**PRIOR_POWER for n, l in factors) for factors in [*many_body, *pair]]
    return np.array(levels)


def solve(A, y, gamma):
    """Minimise |A θ − y|² + λ² |Γ θ|² over θ, with the λ of least generalised cross-validation error.

    G. H. Golub, M. Heath, G. Wahba, Technometrics 21, 215 (1979).
    """
    Q, R = np.linalg.qr(A / gamma)
    U, s, Vt = np.linalg.svd(R)
    projected = U.T @ (Q.T @ y)
    outside = y @ y - projected @ projected

    def gcv(log_lambda):
        kept = s**2 / (s**2 + np.exp(2 * log_lambda))
        return (outside + np.sum(((1 - kept) * projected) ** 2)) / (len(y) - kept.sum()) ** 2

    candidates = np.log(s[0]) + np.linspace(-30, 0, 301)
    best = np.exp(2 * min(candidates, key=gcv))
    return Vt.T @ (s / (s**2 + best) * projected) / gamma


def evaluate(model, configurations):
    """Return per configuration type: energies per atom and force components, reference and model."""
    results = parallel(lambda atoms: energy_forces_virial(atoms, model), configurations, "testing")
    errors = defaultdict(lambda: {"E": [], "F": []})
    for atoms, result in zip(configurations, results, strict=True):
        entry = errors[atoms.info["config_type"]]
        entry["E"].append((atoms.info["REF_energy"] / len(atoms), result.energy / len(atoms)))
        entry["F"] += list(zip(atoms.arrays["REF_forces"].ravel(), result.forces.ravel(), strict=True))
    return {kind: {key: np.array(pairs) for key, pairs in entry.items()} for kind, entry in errors.items()}


def print_table(errors):
    """Print RMSE and MAE by configuration type."""
    every = {key: np.concatenate([entry[key] for entry in errors.values()]) for key in ("E", "F")}
    print("\nTest set         configurations   E (meV/atom)     F (eV/Å)")
    print("                                  RMSE     MAE     RMSE     MAE")
    for kind, entry in [*sorted(errors.items()), ("all", every)]:
        (rmse_E, mae_E), (rmse_F, mae_F) = (rmse_mae(entry[key]) for key in ("E", "F"))
        print(f"{kind:<20}{len(entry['E']):>8}{1e3 * rmse_E:>11.2f}{1e3 * mae_E:>8.2f}{rmse_F:>9.4f}{mae_F:>8.4f}")
    print()


def rmse_mae(pairs):
    """Return both errors of pairs (reference, model)."""
    difference = pairs[:, 1] - pairs[:, 0]
    return np.sqrt(np.mean(difference**2)), np.mean(np.abs(difference))


def plot_parity(errors, path):
    """Draw model against reference."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
    for axis, key, unit in zip(axes, ("E", "F"), ("eV/atom", "eV/Å"), strict=True):
        for kind, entry in sorted(errors.items()):
            axis.plot(*entry[key].T, ".", ms=4, alpha=0.6, label=kind)
        limits = np.array([axis.get_xlim(), axis.get_ylim()])
        line = [limits.min(), limits.max()]
        axis.plot(line, line, "k-", lw=0.7, zorder=0)
        name = "Energy" if key == "E" else "Force component"
        axis.set(xlabel=f"{name}, DFT ({unit})", ylabel=f"{name}, ACE ({unit})", aspect="equal", xlim=line, ylim=line)
    axes[0].legend(frameon=False, fontsize="small")
    figure.suptitle("Silicon, Zuo et al. test set")
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"wrote {path}")


def run_md(path, picoseconds, plot_path):
    """Run NVE around 600 K with a saved model; report the drift of the total energy and the speed."""
    atoms = bulk("Si", "diamond", a=5.47, cubic=True) * (5, 5, 5)
    calculator = ACECalculator(path)
    atoms.calc = calculator
    # Maxwell–Boltzmann momenta, of which equipartition turns half into potential energy
    widths = np.sqrt(atoms.get_masses() * units.kB * 1200)[:, None]
    momenta = widths * np.random.default_rng(1).normal(size=(len(atoms), 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    md = VelocityVerlet(atoms, 1 * units.fs)
    equilibration, every = 2000, 10
    steps = equilibration + round(1000 * picoseconds)
    record = []

    start = time.perf_counter()
    with tqdm(total=steps, desc="NVE, 1000 atoms", unit="step") as bar:
        for _ in md.irun(steps):
            if md.nsteps % every == 0:
                record.append((md.nsteps / 1000, atoms.get_total_energy() / len(atoms), atoms.get_temperature()))
            bar.update(md.nsteps - bar.n)
    seconds = time.perf_counter() - start

    t, energy, temperature = np.array(record).T
    production = t >= equilibration / 1000
    drift, offset = np.polyfit(t[production], energy[production], 1)
    print(
        f"{temperature[production].mean():.0f} K, total energy drifts {drift:.1e} eV/atom/ps over {picoseconds:g} ps, "
        f"{1e6 * seconds / steps / len(atoms):.2f} µs/atom-step ({calculator.threads} threads), "
        f"{calculator.neighbors.n_rebuilds} neighbour searches in {steps} steps"
    )
    plot_energy(t, energy, temperature, drift * t + offset, plot_path)


def plot_energy(t, energy, temperature, line, path):
    """Draw total energy and temperature over time."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
    reference = line[-1]
    top.plot(t, 1e6 * (energy - reference), lw=0.6, label="total energy")
    top.plot(t, 1e6 * (line - reference), "k--", lw=1, label="linear fit after 2 ps")
    top.set_ylabel("energy, shifted (µeV/atom)")
    top.legend(frameon=False)
    bottom.plot(t, temperature, lw=0.6, color="tab:red")
    bottom.set(xlabel="time (ps)", ylabel="temperature (K)")
    figure.suptitle("NVE, 1000 Si atoms, 1 fs")
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
