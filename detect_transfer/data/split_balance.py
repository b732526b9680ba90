"""Moving whole groups between splits until images, boxes and classes come nearer to their shares.

Sharing out class by class is near enough where there are many small groups. A few large ones, such as hours of video,
need to be weighed against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from detect_transfer.core.arrays import FloatArray

_NEAR_ENOUGH = 0.02  # off the wanted share of images and of boxes
_MOST_STEPS = 2000
_MOST_SWAPPED = 1500  # groups; every pair of them is looked at
_LEAST_GAIN = 1e-9


def balance(amounts: FloatArray, chosen: Sequence[str], ratios: Mapping[str, float]) -> list[str]:
    """Return the split of each group, with groups moved or swapped as long as that helps.

    Args:
        amounts: A row a group, as float (groups, 2 + classes): its images, its boxes, and those of each class.
        chosen: The split of each group so far.
        ratios: The share of each split.
    """
    names = list(ratios)
    totals = amounts.sum(axis=0)
    shares = amounts / np.where(totals > 0, totals, 1.0)
    n_classes = max(1, amounts.shape[1] - 2)
    weights = np.array([1.0, 1.0, *[1.0 / n_classes] * (amounts.shape[1] - 2)])
    of = np.array([names.index(name) for name in chosen])
    off = np.array([shares[of == i].sum(axis=0) - ratios[name] for i, name in enumerate(names)])
    if len(names) < 2 or np.abs(off[:, :2]).max() <= _NEAR_ENOUGH:
        return list(chosen)
    squares = (shares**2) @ weights
    products = (shares * weights) @ shares.T if len(shares) <= _MOST_SWAPPED else None
    for _ in range(_MOST_STEPS):
        gain = 0.0
        moves: tuple[tuple[int, int], ...] = ()
        for source in range(len(names)):
            for target in range(len(names)):
                if source != target:
                    slope = (shares * weights) @ (off[target] - off[source])
                    step = _best_step(slope, (squares, products), of == source, of == target)
                    if step[0] < gain - _LEAST_GAIN:
                        gain, moves = step[0], ((step[1], target), *(((step[2], source),) if step[2] >= 0 else ()))
        if not moves:
            break
        for group, target in moves:
            off[of[group]] -= shares[group]
            off[target] += shares[group]
            of[group] = target
    return [names[i] for i in of]


def _best_step(
    slope: FloatArray, second: tuple[FloatArray, FloatArray | None], here: NDArray[np.bool_], there: NDArray[np.bool_]
) -> tuple[float, int, int]:
    """Return the least change of the squared distance from the wanted shares, and the group that moves for it.

    The third number is the group that moves the other way, -1 for none.
    """
    squares, products = second
    rows, columns = np.flatnonzero(here), np.flatnonzero(there)
    best = (0.0, -1, -1)
    if len(rows) > 1:  # no split is left without a group
        alone = 2 * slope[rows] + 2 * squares[rows]
        at = int(alone.argmin())
        best = min(best, (float(alone[at]), int(rows[at]), -1))
    if products is not None and len(rows) and len(columns):
        pairs = products[np.ix_(rows, columns)]
        change = 2 * (slope[rows][:, None] - slope[columns][None]) + 2 * (
            squares[rows][:, None] + squares[columns][None] - 2 * pairs
        )
        row, column = np.unravel_index(int(change.argmin()), change.shape)
        best = min(best, (float(change[row, column]), int(rows[row]), int(columns[column])))
    return best
