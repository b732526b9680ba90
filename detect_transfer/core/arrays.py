"""The types of the arrays that modules hand to each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RgbArray = NDArray[np.uint8]  # (H, W, 3)
