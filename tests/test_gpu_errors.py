"""What users read where CuPy, the driver or a device is missing, and what device="cuda" does where they are there."""

import builtins
import importlib.util
import sys
import types

import numpy as np
import pytest
from gpu.host import COMPILER, HostBackend
from numpy.testing import assert_allclose
from reference import structures
from reference.model_zoo import tutorial

import acepair
from acepair.gpu import backend as gpu_backend


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    plain = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "cupy":
            raise ImportError("No module named 'cupy'")
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)


def fake_cupy(monkeypatch, count):
    """CuPy as it is where there is no driver, or no device."""

    class CUDARuntimeError(RuntimeError):
        pass

    def get_device_count():
        if count is None:
            raise CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
        return count

    runtime = types.SimpleNamespace(getDeviceCount=get_device_count, CUDARuntimeError=CUDARuntimeError)
    module = types.ModuleType("cupy")
    module.cuda = types.SimpleNamespace(runtime=runtime)
    monkeypatch.setitem(sys.modules, "cupy", module)


@pytest.mark.usefixtures("no_cupy")
def test_without_cupy():
    with pytest.raises(ImportError, match=r"needs CuPy, which does not load: .*pip install 'acepair\[cuda12\]"):
        acepair.ACECalculator(tutorial(), device="cuda")


def test_without_driver(monkeypatch):
    fake_cupy(monkeypatch, None)
    message = r"needs an NVIDIA driver, and CuPy says: cudaErrorInsufficientDriver.*nvidia-smi"
    with pytest.raises(RuntimeError, match=message):
        acepair.ACECalculator(tutorial(), device="cuda")


def test_without_device(monkeypatch):
    fake_cupy(monkeypatch, 0)
    with pytest.raises(RuntimeError, match="needs an NVIDIA GPU that this process may see"):
        acepair.ACECalculator(tutorial(), device="cuda")


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_cupy_as_it_is_here():
    """It works, or says what is missing."""
    import cupy

    try:
        here = cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        here = False
    if here:
        assert acepair.ACECalculator(tutorial(), device="cuda").neighbors.n_rebuilds == 0
    else:
        with pytest.raises(RuntimeError, match="needs an NVIDIA"):
            acepair.ACECalculator(tutorial(), device="cuda")


def test_nothing_of_cuda_is_imported():
    assert "cupy" not in {name for name in vars(gpu_backend)}
    import subprocess

    code = "import sys, acepair.gpu; acepair.gpu.Evaluator; sys.exit('cupy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the host shim")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_calculator_on_a_device(monkeypatch, dtype):
    """ASE's calculator with the host shim in place of the card."""
    import copy
    import pickle

    monkeypatch.setattr("acepair.gpu.engine.cuda_backend", HostBackend)
    model, atoms = tutorial(), structures.triclinic([14, 8])
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    reference = acepair.ACECalculator(model)
    expected = {name: reference.get_property(name, atoms) for name in reference.implemented_properties}
    calculator = acepair.ACECalculator(model, device="cuda", dtype=dtype, skin=0.5)
    for other in (calculator, copy.deepcopy(calculator), pickle.loads(pickle.dumps(calculator))):
        for name, value in expected.items():
            scale = np.abs(value).max()
            assert_allclose(other.get_property(name, atoms), value, rtol=0, atol=tolerance * scale, err_msg=name)
    assert (calculator.neighbors.n_rebuilds, calculator.neighbors.n_reuses) == (1, 2)
    assert calculator.threads == 1
    assert calculator.todict()["device"] == "cuda"
    calculator.set(device="cpu", dtype="float64")
    assert_allclose(calculator.get_property("forces", atoms), expected["forces"], rtol=0, atol=0)


def test_choices():
    with pytest.raises(ValueError, match="device must be 'cpu' or 'cuda', got 'tpu'"):
        acepair.ACECalculator(tutorial(), device="tpu")
    with pytest.raises(ValueError, match="dtype must be 'float64' or 'float32', got 'float16'"):
        acepair.ACECalculator(tutorial(), device="cuda", dtype="float16")
