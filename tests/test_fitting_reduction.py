"""The tree of triangles, threads, clusters, and assemblies that are interrupted."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from numpy.testing import assert_array_equal
from test_fitting_assembly import WEIGHTS, data, model, problem, small_parts

from acepair.fitting import IncrementalQR, Problem, assemble, fit
from acepair.fitting.checkpoint import Checkpoint
from acepair.fitting.problem import Problem as ProblemClass
from acepair.fitting.reduction import Node, Reduction, depth

RNG = np.random.default_rng(0)


class Interruption(Exception):
    pass


def assert_identical(found, expected):
    assert found.n_rows == expected.n_rows
    assert_array_equal(found.R, expected.R)
    assert_array_equal(found.Qty, expected.Qty)
    assert found.rest == expected.rest


def interrupt(monkeypatch, after):
    """Let `Problem.fill` fail once, at the block after so many; return the first configurations of those filled."""
    real, filled = ProblemClass.fill, []

    def fill(self, block, *args):
        filled.append(block.start)
        if len(filled) == after + 1:
            raise Interruption
        real(self, block, *args)

    monkeypatch.setattr(ProblemClass, "fill", fill)
    return filled


@pytest.mark.parametrize("n_parts", [1, 2, 3, 5, 8, 13])
def test_tree_merges_all_parts_in_any_order(n_parts):
    parts = [RNG.standard_normal((7, 4)) for _ in range(n_parts)]
    expected = np.concatenate(parts)
    results = []
    for order in (range(n_parts), reversed(range(n_parts)), RNG.permutation(n_parts)):
        reduction, saved = Reduction(n_parts), []
        for k in order:
            qr = IncrementalQR(4)
            qr.add(parts[k])
            reduction.add(Node(0, int(k)), qr, lambda node, _, saved=saved: saved.append(node))
        assert not reduction.missing()
        assert saved[-1] == Node(depth(n_parts), 0)
        results.append(reduction.result())
    for qr in results:
        assert qr.n_rows == 7 * n_parts
        np.testing.assert_allclose(np.triu(qr.triangle).T @ np.triu(qr.triangle), expected.T @ expected, atol=1e-12)
        assert_array_equal(np.triu(qr.triangle), np.triu(results[0].triangle))


def test_parts_that_are_missing():
    reduction = Reduction(6)
    for node in (Node(1, 0), Node(0, 4)):
        reduction.add(node, IncrementalQR(3))
    assert reduction.missing() == [2, 3, 5]


@pytest.mark.parametrize("store", ["qr", "dense", "disk"])
def test_threads_give_the_same_bits(monkeypatch, tmp_path, store):
    small_parts(monkeypatch)
    expected = assemble(problem(), threads=1)
    for threads in (1, 2, 5):
        folder = tmp_path / str(threads) if store == "disk" else None
        assert_identical(assemble(problem(), store=store, folder=folder, threads=threads), expected)


@pytest.mark.filterwarnings("ignore")  # of the cluster's own
@pytest.mark.parametrize("processes", [False, True])
def test_cluster_of_two_workers_gives_the_same_bits(monkeypatch, processes):
    distributed = pytest.importorskip("distributed")
    small_parts(monkeypatch)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=None
    ) as cluster:
        found = assemble(problem(), scheduler=cluster.scheduler_address)
        result = fit(model(), data(), weights=WEIGHTS, scheduler=cluster.scheduler_address)
    assert_identical(found, assemble(problem()))
    assert_array_equal(result.theta, fit(model(), data(), weights=WEIGHTS).theta)


@pytest.mark.parametrize("store", ["qr", "disk"])
@pytest.mark.parametrize("threads", [1, 3])
def test_interrupted_assembly_goes_on(tmp_path, monkeypatch, store, threads):
    small_parts(monkeypatch)
    whole = assemble(problem(), store="dense")
    with monkeypatch.context() as patch:
        filled = interrupt(patch, 4)
        with pytest.raises(Interruption):
            assemble(problem(), store=store, folder=tmp_path, threads=threads)
    filled = interrupt(monkeypatch, 10**6)
    for again in (2, 1):
        before = len(filled)
        found = assemble(problem(), store=store, folder=tmp_path, threads=again)
        assert_identical(found, whole)
        if store == "disk":
            assert_array_equal(found.A, whole.A)
            assert_array_equal(found.y, whole.y)
    n_parts = len(problem().blocks(60 * (problem().n_columns + 1) * 8))
    assert 0 < before < n_parts - 1
    assert len(filled) == before  # the second time nothing was left
    assert len(list(tmp_path.iterdir())) == (2 if store == "qr" else 3)


@pytest.mark.parametrize("store", ["qr", "disk"])
def test_another_fit_in_the_folder_of_an_interrupted_one(tmp_path, monkeypatch, store):
    small_parts(monkeypatch)
    other = {"default": {"E": 7.0}}
    for weights, after in ((WEIGHTS, 3), (other, 0)):
        with monkeypatch.context() as patch:
            interrupt(patch, after)
            with pytest.raises(Interruption):
                fit(model(), data(), weights=weights, store=store, folder=tmp_path, threads=1)
    found = fit(model(), data(), weights=WEIGHTS, store=store, folder=tmp_path, threads=1)
    fresh = fit(model(), data(), weights=WEIGHTS, threads=1)
    assert_identical(found.system, fresh.system)
    assert_array_equal(found.theta, fresh.theta)


def test_keyboard_interrupt_ends_all_threads_within_a_block(monkeypatch):
    small_parts(monkeypatch)
    real, filled = ProblemClass.fill, []

    def fill(self, block, *args):
        filled.append(block)
        if len(filled) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        real(self, block, *args)

    many = data() + data() + data() + data()
    monkeypatch.setattr(ProblemClass, "fill", fill)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which jobs in the background may ignore
    try:
        with pytest.raises(KeyboardInterrupt):
            assemble(Problem(model(), many, WEIGHTS), threads=2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(filled) <= 6
    n = len(filled)
    time.sleep(0.2)
    assert len(filled) == n


@pytest.mark.parametrize("at", ["_write", "_replace"])
def test_killed_again_and_again(tmp_path, monkeypatch, at):
    """Whenever it is killed, before or after a file or the state is written, an assembly goes on to the same bits."""
    small_parts(monkeypatch)
    expected = assemble(problem())
    owner, real = ("acepair.fitting.checkpoint._write", None) if at == "_write" else (Checkpoint, Checkpoint._replace)
    if real is None:
        from acepair.fitting.checkpoint import _write as real

    def killed(after, when):
        count = itertools.count()

        def function(*args):
            if next(count) < after:
                return real(*args)
            if when == "after":
                real(*args)
            raise KeyboardInterrupt

        return function

    for after in range(2, 7):
        for when in ("before", "after"):
            with monkeypatch.context() as patch:
                function = killed(after, when)
                patch.setattr(owner, function) if at == "_write" else patch.setattr(owner, "_replace", function)
                try:
                    assemble(problem(), folder=tmp_path, threads=1 + after % 2)
                except KeyboardInterrupt:
                    pass
    assert_identical(assemble(problem(), folder=tmp_path), expected)


@pytest.mark.parametrize("damage", ["truncated", "missing", "shape", "nan", "state"])
@pytest.mark.parametrize("store", ["qr", "disk"])
def test_what_is_damaged_is_made_anew(tmp_path, monkeypatch, store, damage):
    small_parts(monkeypatch)
    expected = assemble(problem(), store=store, folder=tmp_path)
    (file,) = tmp_path.glob("triangle-*.npy" if store == "qr" or damage in ("nan", "state") else "rows-*.npy")
    match damage:
        case "truncated":
            file.write_bytes(file.read_bytes()[:150])
        case "missing":
            file.unlink()
        case "shape":
            np.save(file, np.zeros((3, 3)))
        case "nan":
            np.save(file, np.full_like(np.load(file), np.nan))
        case "state":
            (tmp_path / "state.json").write_text("{")
    if damage == "state":
        assert_identical(assemble(problem(), store=store, folder=tmp_path), expected)
    else:
        with pytest.warns(UserWarning, match="is damaged, the assembly starts again"):
            found = assemble(problem(), store=store, folder=tmp_path)
        assert_identical(found, expected)
    assert len(list(tmp_path.iterdir())) == (2 if store == "qr" else 3)


def test_files_of_other_problems_go(tmp_path):
    for energy in (1, 2, 3):
        other = Problem(model(), data(), {"default": {"E": energy}})
        assert_identical(assemble(other, folder=tmp_path, threads=2), assemble(other))
    assert len(list(tmp_path.glob("*.npy"))) == 1
    assert not list(tmp_path.glob("*.new"))
    (tmp_path / "mine.npy").write_text("not its own")
    assemble(problem(), folder=tmp_path)
    assert (tmp_path / "mine.npy").exists()


def test_fingerprint_knows_the_parameters_of_other_calculators():
    lj = LennardJones(sigma=1.5, epsilon=0.1, rc=4.0, smooth=True)
    prints = [Problem(model(), data(), others=[lj]).fingerprint(1e6)]
    lj.parameters["epsilon"] = 0.2
    prints.append(Problem(model(), data(), others=[lj]).fingerprint(1e6))
    again = LennardJones(sigma=1.5, epsilon=0.1, rc=4.0, smooth=True)
    prints.append(Problem(model(), data(), others=[again]).fingerprint(1e6))
    assert prints[0] != prints[1]
    assert prints[0] == prints[2]


def test_fingerprint_in_another_process():
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from ase.calculators.lj import LennardJones
from test_fitting_assembly import Problem, data, model
print(Problem(model(), data(), others=[LennardJones(sigma=1.5, rc=4.0)]).fingerprint(1e6))
"""
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert found == Problem(model(), data(), others=[LennardJones(sigma=1.5, rc=4.0)]).fingerprint(1e6)


def test_slow_calculators_are_asked_once(tmp_path):
    class Counting(LennardJones):
        n = 0

        def calculate(self, *args, **keywords):
            Counting.n += 1
            super().calculate(*args, **keywords)

    assemble(Problem(model(), data(), others=[Counting(sigma=1.5, rc=4.0)]), folder=tmp_path)
    assert Counting.n == len(data())


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_error_in_one_part_stops_the_others(monkeypatch, threads):
    small_parts(monkeypatch)
    many = data() + data() + data() + data()
    real, filled = ProblemClass.fill, []

    def fill(self, block, *args):
        filled.append(block)
        if block.start == 0:
            raise ValueError("the first block is bad")
        time.sleep(0.01)
        real(self, block, *args)

    monkeypatch.setattr(ProblemClass, "fill", fill)
    with pytest.raises(ValueError, match="the first block is bad"):
        assemble(Problem(model(), many, WEIGHTS), threads=threads)
    assert len(filled) <= 2 * threads


def test_blas_has_one_thread_during_assembly(monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    real, found = ProblemClass.fill, []

    def fill(self, *args):
        found.append(blas_threads())
        real(self, *args)

    monkeypatch.setattr(ProblemClass, "fill", fill)
    with threadpoolctl.threadpool_limits(2):
        before = blas_threads()
        for threads in (1, 2):
            assemble(problem(), threads=threads)
            assert blas_threads() == before
    assert found
    assert all(n == {1} for n in found)


def blas_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    return {i["num_threads"] for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"}


def test_limit_of_blas_is_shared():
    """The smallest counts, and the last to leave lifts it, whoever came first, in whichever thread."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    from acepair.fitting.blas import limited_blas

    contexts = [limited_blas(n) for n in (2, 1, 1)]
    found = []

    def step(k, enter):
        contexts[k].__enter__() if enter else contexts[k].__exit__(None, None, None)
        found.append(blas_threads())

    with threadpoolctl.threadpool_limits(2), ThreadPoolExecutor(1) as a, ThreadPoolExecutor(1) as b:
        where = (a, b, a)
        for k, enter in ((0, 1), (1, 1), (2, 1), (1, 0), (2, 0), (0, 0)):
            where[k].submit(step, k, enter).result()
    assert found == [{2}, {1}, {1}, {1}, {2}, {2}]


def test_limit_of_blas_by_many_threads():
    from acepair.fitting.blas import limited_blas

    before = blas_threads()

    def work(_):
        with limited_blas(1):
            return blas_threads()

    for _ in range(20):
        with ThreadPoolExecutor(4) as pool:
            assert all(n == {1} for n in pool.map(work, range(8)))
        assert blas_threads() == before


def test_limit_holds_for_libraries_that_are_loaded_later():
    """SciPy has a BLAS of its own, which the first assembly of a process loads."""
    pytest.importorskip("threadpoolctl")
    code = """
import sys
from threadpoolctl import threadpool_info
from acepair.fitting.blas import limited_blas
assert "scipy.linalg" not in sys.modules
with limited_blas(1):
    import scipy.linalg
    print(*{i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"})
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["1"]


def test_state_names_whole_files_only(tmp_path, monkeypatch):
    """Every file the state ever names is there, and whole, at that moment."""
    small_parts(monkeypatch)
    real, seen, lock = Checkpoint._replace, [], threading.Lock()

    def replace(self, state):
        real(self, state)
        with lock:
            named = json.loads((tmp_path / "state.json").read_text())["triangles"]
            seen.append(sum(int(item["n_rows"]) for item in named))
            for item in named:
                assert np.load(tmp_path / item["file"]).shape == (problem().n_columns + 1,) * 2

    monkeypatch.setattr(Checkpoint, "_replace", replace)
    assemble(problem(), folder=tmp_path, threads=1)
    assert seen == sorted(seen)
    assert seen[-1] == problem().shape[0]
