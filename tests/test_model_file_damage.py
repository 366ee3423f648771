"""Damaged, foreign and nonsensical model files: a ValueError that says what is wrong, never a crash."""

import contextlib
import json
import os

import numpy as np
import pytest
from reference import structures
from reference.model_zoo import ace1, sealed, small, tutorial

import acepair
from acepair.io import container


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.acepair"
    acepair.save_model(small(), path)
    return path


# --------------------------------------------------------------------------------------- damaged and foreign files


def refuses(content, path, match=None):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as caught:
        acepair.load_model(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def with_header(content, change):
    """The file with another header and the right checksum."""
    n = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n])
    change(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return sealed(len(text).to_bytes(8, "little") + text + content[8 + n :])


def test_every_flipped_bit_is_found(small_file, tmp_path):
    content, path = small_file.read_bytes(), tmp_path / "flipped.acepair"
    path.write_bytes(content)
    with path.open("r+b", buffering=0) as file:
        for at, bit in np.ndindex(len(content), 8):
            os.pwrite(file.fileno(), bytes([content[at] ^ 1 << bit]), at)
            with pytest.raises(ValueError, match=r"flipped\.acepair: "):
                acepair.load_model(path)
            os.pwrite(file.fileno(), content[at : at + 1], at)
    assert path.read_bytes() == content


def test_every_truncation_is_found(small_file, tmp_path):
    content, path = small_file.read_bytes(), tmp_path / "short.acepair"
    path.write_bytes(content)
    n_header = int.from_bytes(content[:8], "little")
    for size in range(len(content) - 1, -1, -1):
        os.truncate(path, size)
        complete_header = f"truncated: {size} of {len(content)} bytes are there"
        expected = complete_header if size >= n_header + 8 else "truncated" if size else "empty"
        with pytest.raises(ValueError, match=expected):
            acepair.load_model(path)


def test_what_follows_the_end(small_file, tmp_path):
    refuses(small_file.read_bytes() + b"\0", tmp_path / "long.acepair", "checksum")


def test_zeros_in_place_of_any_part(small_file, tmp_path):
    content = small_file.read_bytes()
    for begin in range(0, len(content), 512):
        blank = bytes(len(content[begin : begin + 512]))
        if content[begin : begin + 512] != blank:
            refuses(content[:begin] + blank + content[begin + 512 :], tmp_path / "holes.acepair")


@pytest.mark.parametrize("version", ["2", "10", "99999999999999999999"])
def test_newer_version(small_file, tmp_path, version):
    content = small_file.read_bytes().replace(b'"format_version":"1"', f'"format_version":"{version}"'.encode(), 1)
    message = refuses(content, tmp_path / "future.acepair")
    assert f"written by a newer acepair: format {version}, this is format 1; upgrade" in message


@pytest.mark.parametrize("version", ["0", "-1", "one", "", "²"])
def test_version_that_does_not_exist(small_file, tmp_path, version):
    content = small_file.read_bytes().replace(b'"format_version":"1"', f'"format_version":"{version}"'.encode(), 1)
    refuses(content, tmp_path / "odd.acepair", "format version")


def test_foreign_files(tmp_path):
    path = tmp_path / "foreign.acepair"
    ours = "not an acepair model file"
    for content in (
        b"",
        b"\0",
        b"x" * 7,
        b"a text file\n" * 100,
        b"PK\x03\x04" + bytes(200),
        bytes(500),
        b"\xff" * 500,
    ):
        refuses(content, path, ours)
    np.savez(tmp_path / "arrays.npz", x=np.arange(3))
    refuses((tmp_path / "arrays.npz").read_bytes(), path, ours)
    safetensors = pytest.importorskip("safetensors.numpy")
    for metadata in (None, {"format": "pt"}, {"format": "acepair-like"}):
        refuses(safetensors.save({"x": np.zeros(300)}, metadata), path, ours)


def test_things_that_are_no_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        acepair.load_model(tmp_path / "nothing.acepair")
    with pytest.raises(ValueError, match="directory"):
        acepair.load_model(tmp_path)
    with pytest.raises(ValueError, match="device"):
        acepair.load_model("/dev/zero")
    os.mkfifo(tmp_path / "pipe.acepair")  # opening one would wait for a writer
    with pytest.raises(ValueError, match="device"):
        acepair.load_model(tmp_path / "pipe.acepair")
    with pytest.raises(TypeError):
        acepair.load_model(small())


# ------------------------------------------------------------------------- files with a valid checksum, but nonsense


def changed_tensors(content, path, change):
    """Write the file anew with other tensors, with a valid checksum."""
    path.write_bytes(content)
    metadata, tensors = container.read(path)
    known = ("format", "format_version", "sha256")
    tensors = {name: array.copy() for name, array in tensors.items()}
    change(tensors)
    path.write_bytes(container.encode({k: v for k, v in metadata.items() if k not in known}, tensors))


def must_not_crash(path):
    """Either it is no model, or it can be evaluated."""
    try:
        model = acepair.load_model(path)
    except ValueError:
        return False
    with np.errstate(all="ignore"), contextlib.suppress(ArithmeticError, TypeError, ValueError, UserWarning):
        acepair.energy_forces_virial(structures.axes([14]), model)
    return True


def rich_files(tmp_path):
    """Files that between them have every kind of tensor."""
    models = (
        tutorial(elements="Si", E0s=None, max_level=6, ZBL=True),
        acepair.splinify(ace1(elements="Si", totaldegree=5), 9),
    )
    for k, model in enumerate(models):
        acepair.save_model(model, tmp_path / f"{k}.acepair")
        yield (tmp_path / f"{k}.acepair").read_bytes()


def test_every_tensor_is_needed(tmp_path):
    path = tmp_path / "part.acepair"
    for content in rich_files(tmp_path):
        path.write_bytes(content)
        for name in container.read(path)[1]:
            changed_tensors(content, path, lambda tensors, name=name: tensors.pop(name))
            with pytest.raises(ValueError, match=f"tensor {name} is missing"):
                acepair.load_model(path)


def test_tensors_of_another_shape_or_type(tmp_path):
    path = tmp_path / "odd.acepair"
    for content in rich_files(tmp_path):
        path.write_bytes(content)
        for name, array in container.read(path)[1].items():
            other_type = array.astype(np.int32 if array.dtype == np.float64 else np.float64)
            for odd in (other_type, array[None], np.append(array.ravel(), array.ravel()[:1])):
                changed_tensors(content, path, lambda tensors, name=name, odd=odd: tensors.update({name: odd}))
                assert not must_not_crash(path), name
            shorter = array.reshape(-1)[:0]
            changed_tensors(content, path, lambda tensors, name=name, odd=shorter: tensors.update({name: odd}))
            must_not_crash(path)


def test_indices_out_of_range(tmp_path):
    path = tmp_path / "wild.acepair"
    for content in rich_files(tmp_path):
        path.write_bytes(content)
        for name, array in container.read(path)[1].items():
            if array.dtype != np.int32 or not array.size:
                continue
            for value in (-1, 1, 5, 2**30, -(2**31), 2**31 - 1):
                for at in {0, array.size // 2, array.size - 1}:

                    def change(tensors, name=name, at=at, value=value):
                        tensors[name].reshape(-1)[at] = value

                    changed_tensors(content, path, change)
                    must_not_crash(path)


def test_runs_that_share_some_A(small_file, tmp_path):
    path = tmp_path / "odd.acepair"

    def shift(tensors):
        tensors["plan/0/runs"][-1, 1] -= 1

    changed_tensors(small_file.read_bytes(), path, shift)
    with pytest.raises(ValueError, match=r"tensor plan/0/runs must not overlap in part"):
        acepair.load_model(path)


def test_graphs_of_other_products(small_file, tmp_path):
    path = tmp_path / "swapped.acepair"

    def swap(tensors):
        tensors["plan/0/dag/place"][:2] = tensors["plan/0/dag/place"][1::-1]

    changed_tensors(small_file.read_bytes(), path, swap)
    with pytest.raises(ValueError, match="plan 0 must form the products"):
        acepair.load_model(path)


@pytest.mark.parametrize(("name", "value"), [("pair/0/kind", 0), ("radial/kind", 2), ("radial/kind", 3), ("lmax", 101)])
def test_plans_that_would_crash_an_engine(tmp_path, name, value):
    path, key = tmp_path / "odd.acepair", f"plan/0/{name}"
    changed_tensors(next(rich_files(tmp_path)), path, lambda tensors: tensors.update({key: np.array(value, np.int32)}))
    with pytest.raises(ValueError, match="plan/0/"):
        acepair.load_model(path)


def places_of(value, path=()):
    """Places of all values of a JSON document."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places_of(child, (*path, key))


@pytest.mark.parametrize("field", ["spec", "units", "elements"])
def test_declarations_of_another_kind(tmp_path, field):
    path = tmp_path / "odd.acepair"
    content = next(rich_files(tmp_path))
    path.write_bytes(content)
    original = container.read(path)[0][field]
    document = original if field == "elements" else json.loads(original)

    def place(header, where, value):
        whole = [json.loads(json.dumps(document))]
        parent = whole
        for key in (0, *where)[:-1]:
            parent = parent[key]
        parent[(0, *where)[-1]] = value
        header["__metadata__"][field] = str(whole[0]) if field == "elements" else json.dumps(whole[0])

    for where in places_of(document):
        for value in (None, -1, 1e300, 10**400, True, "Si", [], {}, [[]], {"tensor": "plan/0/E0"}, {"kind": "agnesi"}):
            path.write_bytes(with_header(content, lambda header, w=where, v=value: place(header, w, v)))
            must_not_crash(path)


def test_headers_of_another_kind(small_file, tmp_path):
    content, path = small_file.read_bytes(), tmp_path / "odd.acepair"
    name = "plan/0/E0"
    odd = {
        "dtype": ("F32", None, ["F64"]),
        "shape": ([2**62], [-1], [1.0], "1", [True], [0, 2**62], None),
        "data_offsets": ([0], [8, 0], [-8, 0], ["0", "8"], None, [0, 2**70], [0, 8, 8]),
    }
    for key, value in [(key, value) for key, values in odd.items() for value in values]:
        refuses(with_header(content, lambda header, k=key, v=value: header[name].update({k: v})), path)
    for value in (None, [], 3, "text", {}):
        refuses(with_header(content, lambda header, v=value: header.update({name: v})), path)
        refuses(with_header(content, lambda header, v=value: header["__metadata__"].update(spec=v)), path)
    for text in ("", "{", "[" * 100000, "NaN", '{"kind":"zbl","elements":["Si"],"rcuts":NaN}', "1" * 5000):
        refuses(with_header(content, lambda header, t=text: header["__metadata__"].update(spec=t)), path)
    for missing in ("spec", "elements", "units"):
        refuses(with_header(content, lambda header, m=missing: header["__metadata__"].pop(m)), path)


def test_header_lengths(small_file, tmp_path):
    content, path = small_file.read_bytes(), tmp_path / "odd.acepair"
    for length in (0, 1, 70, 200, len(content) - 8, len(content), 2**31, 2**32 + 5, 2**63, 2**64 - 1):
        refuses(sealed(length.to_bytes(8, "little") + content[8:]), path)
    deep = (
        b'{"__metadata__":{"format":"acepair","format_version":"1","sha256":"' + b"0" * 64 + b'"},"x":' + b"[" * 200000
    )
    refuses(sealed(len(deep).to_bytes(8, "little") + deep), path)
