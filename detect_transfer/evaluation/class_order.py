"""Whether the classes of detections look exchanged, as where a file counts them in another order than the truth."""

from __future__ import annotations

import numpy as np

from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.matching import confusion

_LEAST_PAIRS = 5  # of an exchanged class
_MOST_NAMES = 5


def exchanged_classes(case: Case) -> str:
    """Say which classes would be right under other names, where that is most of what lies on an object; else "".

    Classes are given to each other one to one, so that the most detections on an object have the class of the object. A
    detector that takes all classes for one is no such case: two classes or more must be exchanged.
    """
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

    table = confusion(case)
    counts = table.counts[:-1, :-1]
    true, predicted = linear_sum_assignment(counts, maximize=True)
    pairs = counts[true, predicted]
    n_right, n_other = int(np.trace(counts)), int(pairs.sum())
    most_of_class = 2 * pairs > counts[:, predicted].sum(axis=0)
    other = np.flatnonzero((true != predicted) & (pairs >= _LEAST_PAIRS) & most_of_class)
    if len(other) < 2 or n_other <= 2 * n_right:
        return ""
    names = [f"{table.names[predicted[i]]} is {table.names[true[i]]}" for i in other]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return (
        f"the classes of the detections look exchanged: {n_right:,} of {counts.sum():,} that lie on an object have its "
        f"class, and {n_other:,} would if {', '.join(names[:_MOST_NAMES])}{more}; check the order of the class names"
    )
