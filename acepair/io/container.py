"""The container of a model file: named tensors and strings in a safetensors file with a checksum.

safetensors itself has none. Here every byte counts: the header begins with fixed text, then comes a SHA-256 over the
whole file, with zeros where it stands itself. safetensors' own writer keeps no order, so the header is written here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

FORMAT_VERSION = 1

Tensors = dict[str, npt.NDArray[Any]]

_DTYPES: dict[str, np.dtype[Any]] = {"F64": np.dtype("<f8"), "I32": np.dtype("<i4")}
_MAGIC = b'{"__metadata__":{"format":"acepair","format_version":"'
_START = _MAGIC + b'%d","sha256":"' % FORMAT_VERSION
_DIGEST = slice(8 + len(_START), 8 + len(_START) + 64)  #: where the checksum stands
_ZEROS = b"0" * 64
_NOT_OURS = "not an acepair model file"


def encode(metadata: Mapping[str, str], tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return the content of a file.

    Parameters
    ----------
    metadata : mapping of str
        Strings to store, in this order.
    tensors : mapping of name to array
        Arrays of float64 or int32.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    known = {"format": "acepair", "format_version": str(FORMAT_VERSION), "sha256": _ZEROS.decode()}
    header: dict[str, Any] = {"__metadata__": {**known, **metadata}}
    parts, end = [], 0
    # numbers of 8 bytes first: with a header of a multiple of 8 bytes, every tensor is aligned
    for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):
        array = tensors[name]
        dtype = next(dtype for dtype, known in _DTYPES.items() if known == array.dtype)
        parts.append(array.tobytes())
        _check_finite(name, array)
        begin, end = end, end + len(parts[-1])
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    content = b"".join([len(text).to_bytes(8, "little"), text, *parts])
    assert text.startswith(_START)
    return content[: _DIGEST.start] + _checksum(content) + content[_DIGEST.stop :]


def read(path: Path) -> tuple[dict[str, str], Tensors]:
    """Return the metadata and the tensors of a file, the latter read-only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is something else, damaged, or made by a later version.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "there is no model file", str(path)) from None
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{_NOT_OURS}: it is a {'directory' if stat.S_ISDIR(status.st_mode) else 'device'}")
    with path.open("rb") as stream:
        header, content = _read_content(stream, os.fstat(stream.fileno()).st_size)
    metadata = header.pop("__metadata__")
    if not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("the header's __metadata__ must hold strings only")
    data = memoryview(content)[8 + int.from_bytes(content[:8], "little") :]
    return metadata, {name: _tensor(name, entry, data) for name, entry in header.items()}


def _read_content(stream: BinaryIO, size: int) -> tuple[dict[str, Any], bytes]:
    """Header and all bytes; what is not a model file is left as soon as that is clear, whatever its size."""
    start = stream.read(_DIGEST.stop)
    _check_start(start, size)
    n_header = int.from_bytes(start[:8], "little")
    if n_header > size - 8:
        raise ValueError(f"truncated or damaged: the header should have {n_header} bytes, the whole file has {size}")
    text = start[8 : 8 + n_header] + stream.read(max(0, 8 + n_header - len(start)))
    try:
        header: dict[str, Any] = json.loads(text)
        announced = 8 + n_header + _end_of_data(header)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"damaged: the header cannot be read ({error!r})") from None
    if size < announced:
        raise ValueError(f"truncated: {size} of {announced} bytes are there")
    content = start[:8] + text + stream.read(size - 8 - n_header)
    if len(content) != announced or content[_DIGEST] != _checksum(content):
        raise ValueError("damaged: its content does not match its checksum")
    return header, content


def _check_start(start: bytes, size: int) -> None:
    found = start[8 : 8 + len(_MAGIC)]
    if not size or found != _MAGIC[: len(found)]:
        raise ValueError(f"{_NOT_OURS}, or damaged: it {f'begins with {start[:16]!r}' if size else 'is empty'}")
    if len(start) < _DIGEST.stop:
        raise ValueError(f"{_NOT_OURS}, or truncated: it has {size} bytes, the smallest model has many more")
    if not start[8:].startswith(_START):
        version = start[8 + len(_MAGIC) :].split(b'"')[0].decode("ascii", "replace")
        if version.isascii() and version.isdigit() and int(version) > FORMAT_VERSION:
            raise ValueError(
                f"written by a newer acepair: format {int(version)}, this is format {FORMAT_VERSION}; upgrade acepair"
            )
        raise ValueError(f"damaged: format version {version!r} does not exist")


def _end_of_data(header: dict[str, Any]) -> int:
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return max(map(int, ends), default=0)


def _checksum(content: bytes) -> bytes:
    digest = hashlib.sha256(content[: _DIGEST.start])
    digest.update(_ZEROS)
    digest.update(memoryview(content)[_DIGEST.stop :])
    return digest.hexdigest().encode()


def _tensor(name: str, entry: Any, data: memoryview) -> npt.NDArray[Any]:
    """Read-only view of a tensor's part of the data."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
            raise ValueError(f"sizes must be natural numbers, got {shape}, {begin}, {end}")
        if dtype not in _DTYPES:
            raise ValueError(f"dtype must be F64 or I32, got {dtype!r}")
        count = math.prod(shape)
        if count * _DTYPES[dtype].itemsize != end - begin or end > len(data):
            raise ValueError(f"{dtype} of shape {shape} cannot fill bytes {begin} to {end} of {len(data)}")
        array: npt.NDArray[Any] = np.frombuffer(data[begin:end], dtype=_DTYPES[dtype]).reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"tensor {name}: {error}") from None
    _check_finite(name, array)
    return array


def _check_finite(name: str, array: npt.NDArray[Any]) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"tensor {name} must hold finite numbers, got {array[~np.isfinite(array)][0]}")
