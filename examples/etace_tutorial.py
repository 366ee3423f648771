"""The ETACE tutorial of ACEpotentials.jl in Python: convert a model, evaluate, assemble, build from scratch, stack.

    python examples/etace_tutorial.py

Every part prints what it finds and asserts the numbers that the Julia tutorial prints.
"""

from __future__ import annotations

import numpy as np
from ase.build import bulk

from acepair import (
    ETACE,
    AngularEmbedding,
    ETACEPotential,
    ETOneBodyPotential,
    ETPairPotential,
    RadialEmbedding,
    SelectLinear,
    SparseACEBasis,
    StackedCalculator,
    TotalDegree,
    ace_model,
    chebyshev,
    convert2et,
    convert2et_full,
    convertpair,
    energy_forces_virial,
    energy_forces_virial_basis,
    forces,
    get_linear_parameters,
    length_basis,
    one_body,
    potential_energy,
    potential_energy_basis,
    set_linear_parameters,
    virial,
)

# Part 1: convert an existing ACE model. `ace_model` declares one-body, pair and many-body parts with sensible defaults.
E0s = {"Si": -0.846, "O": -1.023}
rcut = 5.5
model = ace_model(
    elements=("Si", "O"),
    order=3,  # correlation order: body order − 1
    Ytype="solid",
    level=TotalDegree(),
    max_level=10,  # total polynomial degree
    maxl=6,
    pair_maxn=10,
    rcut=rcut,
    E0s=E0s,
    pair_learnable=True,
)
print(f"Standard ACE model: {length_basis(model)} basis functions")
assert length_basis(model) == 240

# A: the whole model, as a stack of one-body, pair and many-body potentials
et_full = convert2et_full(model)
print(f"Full conversion: {et_full}")
assert [type(part).__name__ for part in et_full.components] == [
    "ETOneBodyPotential",
    "ETPairPotential",
    "ETACEPotential",
]
assert length_basis(et_full) == 240

# B: only the many-body part, a layer that a potential wraps together with a cutoff
et_ace = ETACEPotential(convert2et(model), rcut)
assert length_basis(et_ace) == 220

# C: only the pair part
et_pair = ETPairPotential(convertpair(model), rcut)
assert length_basis(et_pair) == 20

# Part 2: evaluate. The linear parameters of a new model are zero, so only the reference energies count.
atoms = bulk("Si") * (2, 2, 1)
atoms.rattle(0.1, seed=1)
atoms.symbols[:] = ["Si", "Si", "Si", "O", "O", "O", "O", "O"]
E, F, V = potential_energy(atoms, et_full), forces(atoms, et_full), virial(atoms, et_full)
print(f"{len(atoms)} atoms: E = {E:.3f} eV, largest force {np.linalg.norm(F, axis=1).max()} eV/Å")
assert np.isclose(E, -7.653, rtol=0, atol=1e-12)
assert not F.any()
assert not V.any()
together = energy_forces_virial(atoms, et_full)  # one pass over the structure
assert together.energy == E

# Part 3: training assembly. Columns are linear parameters: E = energy · θ, F = forces · θ, V = virial · θ.
assert potential_energy_basis(atoms, et_ace).shape == (220,)
rows = energy_forces_virial_basis(atoms, et_ace)
print(f"Basis shapes: energy {rows.energy.shape}, forces {rows.forces.shape}, virial {rows.virial.shape}")
assert (rows.energy.shape, rows.forces.shape, rows.virial.shape) == ((220,), (8, 3, 220), (3, 3, 220))
theta = np.random.default_rng(1).normal(size=len(get_linear_parameters(et_ace)))
set_linear_parameters(et_ace, theta)
fitted = energy_forces_virial(atoms, et_ace)
assert np.isclose(rows.energy @ theta, fitted.energy)
assert np.allclose(rows.forces @ theta, fitted.forces)
assert np.allclose(rows.virial @ theta, fitted.virial)

# Part 4: a many-body model from scratch. Transform and envelope may be any Python functions.
elements, maxn, maxl = ("Si", "O"), 6, 4
spec = [(n, l) for n in range(1, maxn + 1) for l in range(maxl + 1)]
rembed = RadialEmbedding(
    transform=lambda r: 1 - 2 * r / rcut,
    envelope=lambda y: (1 - y**2) ** 2,
    polynomials=chebyshev(maxn),
    spec=spec,
    elements=elements,
)
yembed = AngularEmbedding(maxl, "spherical")
# functions of one factor each, of which only those with l = 0 are invariant
basis = SparseACEBasis(mb_spec=[[nl] for nl in spec], radial_spec=spec, lmax=maxl)
readout = SelectLinear(len(basis), elements)
print(f"From scratch: {len(rembed)} radial, {len(yembed)} angular, {len(basis)} basis functions")
print(f"Parameters: {rembed.n_parameters} + {readout.n_parameters}")
assert (len(rembed), rembed.n_parameters, len(yembed)) == (30, 720, 25)
assert (len(basis), readout.n_parameters) == (6, 12)
scratch = ETACEPotential(ETACE(rembed, yembed, basis, readout), rcut)
E_scratch = potential_energy(atoms, scratch)
print(f"Energy of the model from scratch, random parameters: {E_scratch:.6f} eV")

# Part 5: one-body energies from scratch
onebody = ETOneBodyPotential(one_body(E0s))
E_onebody = potential_energy(atoms, onebody)
print(f"One-body energy: {E_onebody:.3f} eV")
assert np.isclose(E_onebody, -7.653, rtol=0, atol=1e-12)

# Part 6: stack them
combined = StackedCalculator((onebody, scratch))
E_combined = potential_energy(atoms, combined)
print(f"Combined: {length_basis(combined)} basis functions, {E_combined:.6f} eV")
assert length_basis(combined) == 12
assert np.isclose(E_combined, E_onebody + E_scratch, rtol=0, atol=1e-12)
combined_rows = energy_forces_virial_basis(atoms, combined)
assert (combined_rows.energy.shape, combined_rows.forces.shape) == ((12,), (8, 3, 12))
print("Tutorial complete.")
