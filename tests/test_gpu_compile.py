"""The kernels as NVRTC compiles them, which takes no driver and no device: for Ampere and Hopper, without spills."""

import re

import numpy as np
import pytest
from gpu import nvrtc
from gpu.host import HostBackend
from reference.cases import model_path
from reference.model_zoo import tutorial

import acepair
from acepair import plan
from acepair.gpu.arguments import field_names
from acepair.gpu.backend import KERNELS
from acepair.gpu.device_plan import DevicePlan
from acepair.gpu.source import unit_source
from acepair.io import read_acejax
from acepair.lowering import lower
from acepair.models.convert import as_calculator

needs_nvrtc = pytest.mark.skipif(
    nvrtc.library_path() is None, reason="NVRTC is not installed: pip install nvidia-cuda-nvrtc"
)

SHARED = {"sm_80": 163 * 1024, "sm_90": 227 * 1024}  # bytes a block may have
REGISTERS = 65536  # of a multiprocessor
MODELS = {
    "sio_tutorial": ["sm_80", "sm_90"],
    "si_order4_large": ["sm_80", "sm_90"],
    "si_zuo_large": ["sm_90"],
    "tial_ace1": ["sm_90"],
    "only pairs": ["sm_90"],
}


def plan_of(name):
    potential = tutorial().to_calculator().components[1] if name == "only pairs" else read_acejax(model_path(name))
    return lower(as_calculator(potential))[0]


@needs_nvrtc
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "architecture"), [(name, a) for name, list_ in MODELS.items() for a in list_])
def test_kernels_compile_without_spills(name, architecture, dtype):
    lowered = plan_of(name)
    device = DevicePlan(HostBackend(SHARED[architecture]), lowered, dtype)
    code, log = nvrtc.compile_kernels(device.source, architecture)
    assert code[:4] == b"\x7fELF"
    assert "warning" not in log
    found = nvrtc.resources(log)
    assert found.keys() == kernel_names("evaluate")
    threads = device.threads
    for kernel, of in found.items():
        assert of.registers * threads.get(kernel, 128) <= REGISTERS, kernel
        if kernel in threads:
            assert (of.stack, of.spill_stores, of.spill_loads) == (0, 0, 0), kernel
            # at least 8 warps of the edge kernels on a multiprocessor
            assert of.registers * 256 <= REGISTERS, kernel


@needs_nvrtc
@pytest.mark.parametrize("architecture", SHARED)
@pytest.mark.parametrize("unit", ["search", "lists"])
def test_kernels_of_lists_compile(architecture, unit):
    code, log = nvrtc.compile_kernels(unit_source(unit), architecture)
    assert code[:4] == b"\x7fELF"
    assert "warning" not in log
    assert nvrtc.resources(log).keys() == kernel_names(unit)


@needs_nvrtc
def test_hundreds_of_radial_functions_compile():
    """Compilers limit how deep templates may go, NVRTC to 200 levels."""
    spec = [(n, 0) for n in range(1, 231)]
    transform, envelope = acepair.AgnesiTransform(2, 2, 0.0, 2.3, 5.5), acepair.PolyEnvelope2sX()
    radial = acepair.RadialEmbedding(transform, envelope, acepair.legendre(len(spec)), spec, "Si", weights="onehot")
    basis = acepair.SparseACEBasis([[nl] for nl in spec], spec, 0)
    readout = acepair.SelectLinear(len(basis), "Si")
    model = acepair.ETACEPotential(acepair.ETACE(radial, acepair.AngularEmbedding(0, "solid"), basis, readout), 5.5)
    (lowered,) = lower(as_calculator(model))
    device = DevicePlan(HostBackend(SHARED["sm_90"]), lowered, np.float64)
    assert device.sizes.n_functions == len(spec)
    code, _ = nvrtc.compile_kernels(device.source, "sm_90")
    assert code[:4] == b"\x7fELF"


def test_radial_functions_must_fit_into_shared_memory():
    lowered = plan_of("sio_tutorial")
    with pytest.raises(ValueError, match=r"must fit into 8000 bytes .* got 24 and 9, which take \d+; device"):
        DevicePlan(HostBackend(8000), lowered, np.float64)


@needs_nvrtc
def test_errors_of_the_compiler_are_reported():
    with pytest.raises(RuntimeError, match='identifier "nonsense" is undefined'):
        nvrtc.compile_kernels('extern "C" __global__ void f(int *a) { *a = nonsense; }', "sm_90")


def kernel_names(unit):
    """Kernels in a translation unit and the files it includes."""
    text = (KERNELS / f"{unit}.cu").read_text()
    included = re.findall(r'#include "(\w+\.cu)"', text)
    text += "".join((KERNELS / name).read_text() for name in included)
    return set(re.findall(r"ACEPAIR_KERNEL\([^)]*\)\s*(\w+)\(", text))


def test_structs_have_fields_of_eight_bytes():
    """As Struct writes them: a field of another size in a header would shift all that follow."""
    header = "".join((KERNELS / name).read_text() for name in ("arguments.hpp", "search.hpp", "lists.hpp"))
    for struct in ("Radial", "Model", "List", "Motion", "Work", "Atoms", "Search", "Rows", "Ordering"):
        body = re.search(rf"struct {struct} {{\n(.*?)^}};", header, re.MULTILINE | re.DOTALL)[1]
        lines = [line.split("//")[0].strip() for line in body.splitlines()]
        assert all(re.match(r"(int64_t [^*]|.*\*|Radial radial\[)", line) for line in lines if line)
        assert len(field_names(struct)) == sum(line.count(";") + line.count(",") for line in lines)


@pytest.mark.parametrize("kind", [plan.TransformKind, plan.EnvelopeKind, plan.BasisKind])
def test_kinds_are_numbered_as_in_plans(kind):
    """The headers of the GPU have the names and numbers of acepair.plan."""
    body = re.search(rf"enum class {kind.__name__} {{ (.*) }};", (KERNELS / "arguments.hpp").read_text())[1]
    numbered = dict(re.findall(r"(\w+) = (\d+)", body))
    assert {name.upper(): int(number) for name, number in numbered.items()} == {k.name: k.value for k in kind}
