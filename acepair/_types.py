"""Array types used in annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
ArrayFunction = Callable[[FloatArray], FloatArray]  #: elementwise function of an array
Elements = str | int | Sequence[str | int]  #: what users may write where elements are asked for
Dict = dict[str, Any]  #: serialised spec: JSON values, and arrays where the object holds arrays
