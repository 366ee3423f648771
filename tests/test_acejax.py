"""Reading ace-jax's model files: what is taken from them, and what is said about bad ones."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from reference.cases import CASES, golden, model_path, naive_model
from reference.random_model import random_model

from acepair.io import read_acejax


def write(path, arrays, **meta):
    """Write a model file with entries of its metadata changed, or left out where the new value is None."""
    old = json.loads(bytes(arrays["meta_json"]).decode())
    new = {key: value for key, value in {**old, **meta}.items() if value is not None}
    np.savez(path, **{**arrays, "meta_json": np.frombuffer(json.dumps(new).encode(), np.uint8)})
    return path


@pytest.mark.parametrize("case", CASES)
def test_parameters_are_those_of_the_file(case):
    model = naive_model(case)
    one_body, pair, many_body = read_acejax(model_path(case)).components
    assert many_body.numbers.tolist() == model.elements
    assert_array_equal(one_body.layer.energies, model["E0"])
    assert_array_equal(pair.layer.readout.weights, model["Wpair"])
    assert_array_equal(many_body.layer.readout.weights, model["WB"])
    assert (many_body.rcuts == float(golden(case)["rcut"])).all()
    assert (pair.rcuts == float(golden(case)["rcut"])).all()


@pytest.mark.parametrize("case", [case for case in CASES if "nnll" in naive_model(case).meta])
def test_channels_are_named_as_in_the_file(case):
    _, _, many_body = read_acejax(model_path(case)).components
    expected = [sorted(map(tuple, nnll)) for nnll in naive_model(case).meta["nnll"]]
    assert [sorted(nnll) for nnll in many_body.layer.basis.coupling.mb_spec_of_B] == expected


def test_cutoffs_differ_from_pair_to_pair(tmp_path):
    arrays = random_model([14, 8, 1])
    stack = read_acejax(write(tmp_path / "model.npz", arrays))
    assert len(np.unique(arrays["pair_rcuts"])) == 6
    for part in stack.components[1:]:
        assert_array_equal(part.rcuts, arrays["pair_rcuts"])


def test_dense_coupling_of_old_files(tmp_path):
    arrays = random_model([14])
    sparse = read_acejax(write(tmp_path / "new.npz", arrays)).components[2].layer.basis.coupling
    dense = np.zeros(arrays["A2B_shape"])
    np.add.at(dense, (arrays["A2B_rows"], arrays["A2B_cols"]), arrays["A2B_vals"])
    old = {key: value for key, value in arrays.items() if not key.startswith("A2B")}
    read = read_acejax(write(tmp_path / "old.npz", {**old, "A2B": dense})).components[2].layer.basis.coupling
    for mine, theirs in zip(read.A2B, sparse.A2B, strict=True):
        assert_array_equal(mine, theirs)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_acejax(tmp_path / "nothing.npz")


def test_not_an_archive(tmp_path):
    (tmp_path / "text.npz").write_text("not a model")
    with pytest.raises(ValueError, match=r"text\.npz.*not an npz archive"):
        read_acejax(tmp_path / "text.npz")
    (tmp_path / "empty.npz").touch()
    with pytest.raises(ValueError, match=r"empty\.npz.*not an npz archive"):
        read_acejax(tmp_path / "empty.npz")
    np.save(tmp_path / "array.npy", np.arange(3))
    with pytest.raises(ValueError, match="single array"):
        read_acejax(tmp_path / "array.npy")


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.999])
def test_truncated_archive(tmp_path, fraction):
    content = model_path("sio_tutorial").read_bytes()
    (tmp_path / "short.npz").write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(ValueError, match=r"short\.npz"):
        read_acejax(tmp_path / "short.npz")


def test_damaged_archive(tmp_path):
    content = bytearray(model_path("sio_tutorial").read_bytes())
    content[len(content) // 2] ^= 0x10
    (tmp_path / "damaged.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged\.npz"):
        read_acejax(tmp_path / "damaged.npz")


def test_every_array_is_needed(tmp_path):
    unused = {"rcuts", "pair_rcuts", "elements"}  # said again in meta_json and in the envelopes
    arrays = random_model([14, 8])
    for key in arrays.keys() - unused - {"meta_json"}:
        path = write(tmp_path / "part.npz", {k: v for k, v in arrays.items() if k != key})
        with pytest.raises(ValueError, match=rf"part\.npz: .*'{key}'"):
            read_acejax(path)
    np.savez(tmp_path / "other.npz", x=np.arange(3))
    with pytest.raises(ValueError, match=r"other\.npz: not an ace-jax model: no array 'meta_json'"):
        read_acejax(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"schema_version": 2}, "schema_version must be 1, got 2"),
        ({"schema_version": None}, "no 'schema_version'"),
        ({"elements": None}, "no 'elements'"),
        ({"elements": [14, 500]}, "500"),
        ({"radial_kind": "bessel"}, "radial_kind must be .* got 'bessel'"),
        ({"pair_radial_kind": "bessel"}, "pair_radial_kind must be .* got 'bessel'"),
        ({"envelope_kind": "cosine"}, "envelope_kind must be .* got 'cosine'"),
        ({"pair_envelope_kind": "cosine"}, "pair_envelope_kind must be .* got 'cosine'"),
        ({"transform_kind": "identity"}, "transform_kind must be .* got 'identity'"),
        ({"ybasis_kind": "complex"}, "ybasis_kind must be .* got 'complex'"),
        ({"rnl_basis": "sbessel"}, "rnl_basis must be 'poly', got 'sbessel'"),
        ({"lmax": 1}, "aspec_y must contain integers from 0 to 3"),
        ({"lmax": "many"}, "many"),
        ({"aa_lens": [1, 2, 3]}, "aa_spec_1 must have shape"),
        ({"aa_lens": 7}, "int"),
    ],
)
def test_metadata_that_does_not_fit(tmp_path, meta, message):
    path = write(tmp_path / "odd.npz", random_model([14, 8]), **meta)
    with pytest.raises(ValueError, match=rf"odd\.npz: .*{message}"):
        read_acejax(path)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("WB", lambda a: a[:-1], "WB must have shape"),
        ("E0", lambda a: a * np.nan, "E0 must contain finite numbers"),
        ("E0", lambda a: a[0], "E0 must have shape"),
        ("A2B_rows", lambda a: a + 1000, "A2B_rows must contain integers from 0"),
        ("A2B_vals", lambda a: a[1:], "A2B_vals must have shape"),
        ("aspec_r", lambda a: a - 1, "aspec_r must contain integers from 0"),
        ("aspec_r", lambda a: np.roll(a, 1), "one angular momentum"),
        ("aa_spec_2", lambda a: a + 0.5, "aa_spec_2 must contain integers"),
        ("rnl_transform", lambda a: a * [1, 1, 1.01, 1, 1, 1, 1], "Agnesi"),
        ("rnl_transform", lambda a: a * [1, 1, 1, 1, 1, 1, 1.01], "Agnesi"),
        ("pair_transform", lambda a: a * [1.5, 1, 1, 1, 1, 1, 1], "integer"),
        ("rnl_envelope", lambda a: a * [0.5, 1, 1, 1, 1], "y = -1 to 1"),
        ("pair_envelope", lambda a: np.array(3.0), "pair_envelope"),
        ("polys_A", lambda a: a.astype(str), "polys_A must contain finite numbers"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, key, change, message):
    arrays = random_model([14, 8])
    path = write(tmp_path / "odd.npz", {**arrays, key: change(arrays[key])})
    with pytest.raises(ValueError, match=rf"odd\.npz: .*{message}"):
        read_acejax(path)


def test_nothing_is_unpickled(tmp_path):
    arrays = random_model([14])
    path = write(tmp_path / "pickle.npz", {**arrays, "WB": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(ValueError, match=r"pickle\.npz: .*allow_pickle"):
        read_acejax(path)
