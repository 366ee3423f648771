"""Model components, parameters, stacks, splines, copies."""

import copy
import pickle

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from numpy.testing import assert_allclose
from reference.tutorials import E0, scratch, ti_al, tutorial

from acepair import (
    ETACE,
    ACEModel,
    AngularEmbedding,
    ETACEPotential,
    ETOneBody,
    ETOneBodyPotential,
    ETPairModel,
    ETPairPotential,
    SelectLinear,
    SplineTable,
    StackedCalculator,
    ZBLPotential,
    convert2et,
    convert2et_full,
    convertpair,
    get_linear_parameters,
    length_basis,
    one_body,
    set_linear_parameters,
    splinify,
)

# ------------------------------------------------------------------------------------------------------ parameters


def test_order_of_parameters():
    model = tutorial()
    theta = np.arange(240.0)
    assert set_linear_parameters(model, theta) is model
    assert_allclose(get_linear_parameters(model), theta)
    assert model.readout.weights[3, 1] == 110 + 3  # many-body of all species first
    assert model.pair_readout.weights[3, 1] == 220 + 10 + 3
    calc = convert2et_full(model)
    assert_allclose(get_linear_parameters(calc), np.concatenate([theta[220:], theta[:220]]))
    assert_allclose(get_linear_parameters(convert2et(model)), theta[:220])
    assert_allclose(get_linear_parameters(calc.components[1]), theta[220:])


def test_parameters_are_copied_by_conversion():
    model = set_linear_parameters(tutorial(), np.arange(240.0))
    calc, layer, pair, splined = convert2et_full(model), convert2et(model), convertpair(model), splinify(model)
    set_linear_parameters(model, np.zeros(240))
    assert get_linear_parameters(calc).sum() == get_linear_parameters(splined).sum() == 239 * 120
    assert get_linear_parameters(layer).any()
    assert get_linear_parameters(pair).any()
    set_linear_parameters(calc, np.ones(240))
    assert not get_linear_parameters(model).any()


def test_wrong_parameters_are_rejected():
    model = tutorial()
    for bad in (np.zeros(239), np.zeros((240, 1)), 1.0):
        with pytest.raises(ValueError, match=r"length 240, got shape"):
            set_linear_parameters(model, bad)
    theta = np.ones(240)
    theta[230] = np.nan
    with pytest.raises(ValueError, match="got nan at index 230"):
        set_linear_parameters(model, theta)
    assert not get_linear_parameters(model).any()
    with pytest.raises(TypeError, match="LennardJones has no linear parameters"):
        length_basis(LennardJones())


def test_readout():
    readout = SelectLinear(400, ("Si", "O"), seed=3)
    assert readout.weights.std() == pytest.approx(np.sqrt(2 / 401), rel=0.1)
    assert_allclose(readout.weights, SelectLinear(400, ["Si", 8], seed=3).weights)
    version, before = readout.version, readout.weights
    readout.set_weights(np.zeros((400, 2)))
    assert readout.version == version + 1
    assert before.any()
    assert not readout.weights.any()
    with pytest.raises(ValueError, match="read-only"):
        readout.weights[0, 0] = 1
    with pytest.raises(ValueError, match=r"\(400, 2\), got \(2, 400\)"):
        readout.set_weights(np.zeros((2, 400)))
    with pytest.raises(ValueError, match="finite, got inf"):
        readout.set_weights(np.full((400, 2), np.inf))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        SelectLinear(0, "Si")


# ------------------------------------------------------------------------------------------------------ components


def test_one_body():
    layer = ETOneBody({14: -0.846, "O": -1.023})
    assert (layer.elements, layer.E0) == (("Si", "O"), E0)
    assert_allclose(layer.energies, [-0.846, -1.023])
    assert layer == one_body(E0)
    potential = ETOneBodyPotential(layer)
    assert potential.rcut == 0
    assert potential.rcuts.shape == (2, 2)
    with pytest.raises(ValueError, match="Si twice"):
        ETOneBody({14: 0.0, "Si": 1.0})
    with pytest.raises(ValueError, match="at least one element"):
        ETOneBody({})
    with pytest.raises(TypeError, match="ETOneBody, got dict"):
        ETOneBodyPotential(E0)


def test_cutoffs_of_potentials():
    layer = convertpair(tutorial())
    assert ETPairPotential(layer, 5.5).rcuts.tolist() == [[5.5, 5.5], [5.5, 5.5]]
    potential = ETPairPotential(layer, [[5, 4], [4, 6]])
    assert potential.rcut == 6
    assert potential.elements == ("Si", "O")
    assert potential.numbers.tolist() == [14, 8]
    for bad in (0, np.inf, [[1, 2, 3]], [5, 6]):
        with pytest.raises(ValueError, match="rcut must be"):
            ETPairPotential(layer, bad)
    with pytest.raises(TypeError, match="ETPairModel, got ETACE"):
        ETPairPotential(scratch(), 5.5)
    with pytest.raises(TypeError, match="ETACE, got ETPairModel"):
        ETACEPotential(layer, 5.5)


def test_layers_check_their_parts():
    layer = scratch()
    parts = (layer.rembed, layer.yembed, layer.basis)
    with pytest.raises(ValueError, match="same elements in the same order, got rembed: Si, O; readout: O, Si"):
        ETACE(*parts, SelectLinear(6, ("O", "Si")))
    with pytest.raises(ValueError, match="6 functions as the basis, got 7"):
        ETACE(*parts, SelectLinear(7, ("Si", "O")))
    with pytest.raises(ValueError, match=r"\(n, l\) list of rembed"):
        ETACE(convert2et(tutorial()).rembed, *parts[1:], layer.readout)
    model = tutorial()
    with pytest.raises(ValueError, match="at least the basis' 2, got 1"):
        ETACE(model.rembed, AngularEmbedding(1, "solid"), model.basis, model.readout)
    with pytest.raises(ValueError, match="30 functions as the basis, got 6"):
        ETPairModel(layer.rembed, layer.readout)


def test_stack():
    onebody, pair, ace = convert2et_full(tutorial(rcut={("Si", "Si"): 5, ("Si", "O"): 4, ("O", "O"): 3})).components
    stack = StackedCalculator([onebody, StackedCalculator([pair, ace])])
    assert stack.components == (onebody, pair, ace)
    assert_allclose(stack.rcuts, [[5, 4], [4, 3]])
    lj = LennardJones()
    mixed = StackedCalculator((lj, ace))
    assert (mixed.ase_calculators, mixed.potentials) == ((lj,), (ace,))
    assert (length_basis(mixed), mixed.rcut) == (220, 5)
    swapped = ETOneBodyPotential(ETOneBody({"O": 0.0, "H": 0.0, "Si": 1.0}))
    assert StackedCalculator([swapped, ace]).elements == ("O", "Si")
    assert_allclose(StackedCalculator([swapped, ace]).rcuts, [[3, 4], [4, 5]])
    for bad in (ace.layer, E0, None, "ace"):
        with pytest.raises(TypeError, match=f"ASE calculator, got {type(bad).__name__}"):
            StackedCalculator([ace, bad])
    with pytest.raises(TypeError, match="sequence of potentials, got one"):
        StackedCalculator(ace)
    with pytest.raises(ValueError, match="at least one potential"):
        StackedCalculator([lj])
    with pytest.raises(ValueError, match="element in common"):
        StackedCalculator([ace, ETOneBodyPotential(ETOneBody({"H": 0.0}))])


def test_model_checks_its_parts():
    model = tutorial()
    parts = (model.rembed, model.yembed, model.basis, model.readout)
    minimal = ACEModel(*parts, rcuts=5.5)
    assert (minimal.rcut, minimal.pair_rembed, length_basis(minimal)) == (5.5, None, 220)
    with pytest.raises(ValueError, match="given together"):
        ACEModel(*parts, rcuts=5.5, pair_rembed=model.pair_rembed)
    with pytest.raises(ValueError, match="zbl part must have the elements Si, O, got Si"):
        ACEModel(*parts, rcuts=5.5, zbl=ZBLPotential("Si", 5.0))
    assert "110 many-body and 10 pair functions per species" in repr(model)


# --------------------------------------------------------------------------------------------------------- splinify


def test_splinify():
    model = tutorial()
    for spline, n in ((splinify(convert2et(model)), 51), (splinify(convertpair(model)), 31)):
        assert isinstance(spline.rembed.polynomials, SplineTable)
        assert spline.rembed.polynomials.n_nodes == n
    both = splinify(model)
    assert both.rembed.polynomials.n_nodes == both.pair_rembed.polynomials.n_nodes == 100
    assert splinify(model, 20).rembed.polynomials.n_nodes == 21
    stack = splinify(convert2et_full(model))
    assert [type(part) for part in stack.components] == [ETOneBodyPotential, ETPairPotential, ETACEPotential]
    assert [part.layer.rembed.polynomials.n_nodes for part in stack.components[1:]] == [31, 51]
    assert_allclose(stack.rcuts, 5.5)
    with pytest.raises(TypeError, match="got dict"):
        splinify({})


# ------------------------------------------------------------------------------------------------- --------- copies


@pytest.mark.parametrize(
    "make", [tutorial, lambda: ti_al(ZBL=True), lambda: splinify(ti_al()), lambda: convert2et_full(tutorial())]
)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_pickle_and_deepcopy(make, duplicate):
    model = make()
    n = length_basis(model)
    set_linear_parameters(model, np.arange(float(n)))
    other = duplicate(model)
    assert type(other) is type(model)
    assert repr(other) == repr(model)
    assert other.elements == model.elements
    assert_allclose(get_linear_parameters(other), np.arange(float(n)))
    set_linear_parameters(other, np.zeros(n))
    assert get_linear_parameters(model).any()
    with pytest.raises(ValueError, match="read-only"):
        other.readouts[0].weights[0, 0] = 1
