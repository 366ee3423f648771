"""The benchmark of the GPU engine runs: its first run on a card should not be its first run at all."""

import importlib
import time
import types
from pathlib import Path

import numpy as np
import pytest
from gpu.host import COMPILER, HostBackend
from gpu.poison import Poisoned
from gpu.stored import CASES, load

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(not BENCHMARKS.exists(), reason="no checkout")


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("gpu_speed")


class _Event:
    def record(self):
        self.time = time.perf_counter()


class _ArrayModule(Poisoned):
    cuda = types.SimpleNamespace(
        Event=_Event,
        Device=lambda: types.SimpleNamespace(synchronize=lambda: None),
        get_elapsed_time=lambda a, b: 1e3 * (b.time - a.time),
    )

    @staticmethod
    def get_default_memory_pool():
        return types.SimpleNamespace(free_all_blocks=lambda: None, total_bytes=lambda: 0)


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the host shim")
def test_measure(speed, monkeypatch):
    class Timed(speed.TimedBackend):
        def __init__(self):
            self.host = HostBackend()
            self.xp, self.max_shared, self.multiprocessors = _ArrayModule(np), self.host.max_shared, 1
            self.timing, self.events = False, []
            self.pointer, self.to_host = self.host.pointer, self.host.to_host

    monkeypatch.setattr(speed.CudaBackend, "kernel", lambda self, *args: self.host.kernel(*args))
    monkeypatch.setattr(speed.CudaBackend, "record", lambda self, call: call)
    result = speed.measure(Timed(), "sio_tutorial", 2, "float64", {"product_rows": 4})
    assert result["layout"]["product_rows"] == 4
    assert result["atoms"] == 64
    assert result["kernels"].keys() == {
        *("pack_rows", "find_edges", "pool", "products", "backward", "gather_forces", "sum_segments", "sum_structures")
    }
    assert result["step_us"] > 0
    assert "M atom-steps/s" in speed._line(result)
    known = result["layout"].keys()
    assert all(changes.keys() <= known for changes in speed._LAYOUTS.values())


def test_counts(speed):
    """Nothing takes no time, and single precision no longer than double."""
    for case in CASES:
        double, single = (speed.count(load(case)[0][0], 32, 57, dtype) for dtype in ("float64", "float32"))
        for name, work in double.items():
            assert 0 < single[name].bound("float32") <= work.bound("float64")
