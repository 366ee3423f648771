"""Guards and reports of benchmarks/: not how fast anything is."""

import copy
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
COUNTS = {
    "compiler": "g++ 12",
    "valgrind": "valgrind-3.19.0",
    "avx2": {"sio_tutorial": {"total": 100_000, "embed_radial": 60_000, "backward<2>": 40_000}},
    "avx512": {"sio_tutorial": {"total": 60_000, "vector": 30_000, "stack": 10}},
    "loops": {"evaluate_block<2>": {"loops": 10, "instructions": 400, "vector": 200, "stack": 0}},
}


@pytest.fixture(autouse=True)
def _import_path(monkeypatch):
    if not BENCHMARKS.exists():
        pytest.skip("no benchmarks here")
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def risen(factor, *path):
    counts = copy.deepcopy(COUNTS)
    *parents, last = path
    place = counts
    for key in parents:
        place = place[key]
    place[last] = round(factor * place[last])
    return counts


@pytest.mark.parametrize(
    "path",
    [("avx2", "sio_tutorial", "total"), ("avx512", "sio_tutorial", "total"), ("avx512", "sio_tutorial", "vector")],
)
def test_five_percent_more_instructions_fail(path):
    from counts import compare

    failures, _ = compare(COUNTS, risen(1.05, *path))
    assert len(failures) == 1
    assert "+5.0 %" in failures[0]
    assert compare(COUNTS, risen(1.02, *path))[0] == []
    assert compare(COUNTS, risen(0.8, *path))[0] == []


def test_loops_decide_where_avx512_cannot_be_executed():
    from counts import compare

    more = risen(1.05, "loops", "evaluate_block<2>", "vector")
    assert compare(COUNTS, more)[0] == []
    failures, remarks = compare(COUNTS, more | {"avx512": {}})
    assert len(failures) == 1
    assert "evaluate_block<2>" in failures[0]
    assert "not compared" in remarks[0]


@pytest.mark.parametrize("tool", ["compiler", "valgrind"])
def test_counts_of_another_compiler_are_not_compared(tool):
    from counts import compare

    failures, remarks = compare(COUNTS, risen(2, "avx2", "sio_tutorial", "total") | {tool: "another"})
    assert failures == []
    assert len(remarks) == 1
    assert "not compared" in remarks[0]


def test_profile_is_summed_by_function_without_what_is_called():
    from callgrind import costs

    profile = [
        "ob=/tmp/counted.so",
        "fl=core/evaluator.hpp",
        "fn=void acepair::avx2::backward<2>(acepair::Plan const&, int)",
        "10 100",
        "fi=core/simd.hpp",
        "11 20",
        "calls=1 12",
        "12 5000",
        "14 3",
        "fn=acepair::evaluate(acepair::Kernels const&)",
        "9 8",
        "ob=/lib/libc.so",
        "fn=memcpy",
        "1 900",
    ]
    assert costs(profile, "counted.so") == {"backward<2>": 123, "elsewhere": 8}


def test_innermost_loops_of_a_disassembly():
    from disassembly import count_loops, functions

    listing = """
0000000000000000 <acepair::avx512::f(int)>:
   0:\txor    %eax,%eax
   4:\tvmovupd (%rdi),%zmm0
   8:\tvaddpd 0x40(%rsp),%zmm0,%zmm0
   c:\tjne    8 <acepair::avx512::f(int)+0x8>
  10:\tadd    $0x1,%eax
  14:\tjne    4 <acepair::avx512::f(int)+0x4>
  18:\tret
"""
    ((name, body),) = functions(listing.splitlines())
    assert name == "acepair::avx512::f(int)"
    assert count_loops(body) == {"loops": 1, "instructions": 2, "vector": 1, "stack": 1}


def test_floor_of_the_tutorial():
    from floor import operations

    size = {"n_q": 15, "n_R": 19, "dense": 1, "lmax": 2, "n_A": 43, "n_int": 54, "n_leaf": 175}
    assert operations(size) == (40 + 90 + 570 + 72 + 129 + 6, 86 + 162 + 350)


def test_stored_results_make_a_report():
    import json

    from report import report

    results = json.loads((BENCHMARKS / "results" / "cpu.json").read_text())
    assert report(results).startswith("# Speed")
    assert report({"machine": {}, "lammps": {"not available": "no LAMMPS"}}).rstrip().endswith("no LAMMPS")


def test_smallest_of_each_time_counts():
    from process import best_of

    assert best_of([{"kernel": 2.0, "atoms": 8}, {"kernel": 1.0, "atoms": 8, "rows": 3.0}]) == {
        "kernel": 1.0,
        "atoms": 8,
        "rows": 3.0,
    }
