"""Vector drawings in sign units: a stroke font and the pictograms.

Own strokes instead of `cv2.putText`: the fonts of OpenCV changed between releases, and a scene must not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from detect_transfer.synthetic.canvas import Points
from detect_transfer.synthetic.tasks import BLACK, RED, Rgb


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """One brush stroke or filled polygon of a sign's face.

    Attributes:
        xy: (M, 2) points in sign units: the face spans about -1..1, y down.
        width: Stroke width in sign units; 0 fills the polygon.
        rgb: Colour 0..255; None is the ink of the sign class.
    """

    xy: Points
    width: float = 0.0
    rgb: Rgb | None = None


def arc(centre_xy: tuple[float, float], radii_xy: tuple[float, float], start: float, stop: float) -> Points:
    """Sample an elliptic arc.

    Args:
        centre_xy: Centre, any unit.
        radii_xy: Half axes along x and y, same unit.
        start: First angle in degrees; 0 points right and 90 down.
        stop: Last angle in degrees; smaller than `start` runs backwards.

    Returns:
        (M, 2) float64 points, both ends included.
    """
    n_points = max(4, int(abs(stop - start) / 10) + 1)
    angle = np.deg2rad(np.linspace(start, stop, n_points))
    return np.stack((centre_xy[0] + radii_xy[0] * np.cos(angle), centre_xy[1] + radii_xy[1] * np.sin(angle)), axis=1)


def _line(*xy: tuple[float, float]) -> Points:
    return np.array(xy, dtype=np.float64)


def _six() -> list[Points]:
    return [arc((0.5, 0.68), (0.5, 0.32), 0, 360), arc((0.75, 0.68), (0.75, 0.68), 180, 275)]


_TOP_BOWL = np.concatenate((_line((0, 0), (0.6, 0)), arc((0.6, 0.26), (0.4, 0.26), -90, 90), _line((0, 0.52))))

# Strokes of a character in its own box, 0..1 along both axes, y down.
_FONT: dict[str, list[Points]] = {
    "0": [arc((0.5, 0.5), (0.5, 0.5), 0, 360)],
    "1": [_line((0.15, 0.22), (0.6, 0), (0.6, 1))],
    "2": [np.concatenate((arc((0.5, 0.29), (0.48, 0.29), -170, 35), _line((0, 1), (1, 1))))],
    "3": [np.concatenate((arc((0.45, 0.25), (0.47, 0.25), -160, 90), arc((0.45, 0.74), (0.54, 0.26), -90, 160)))],
    "4": [_line((0.72, 1), (0.72, 0), (0, 0.7), (1, 0.7))],
    "5": [np.concatenate((_line((0.92, 0), (0.14, 0), (0.08, 0.46)), arc((0.47, 0.67), (0.5, 0.33), -140, 150)))],
    "6": _six(),
    "7": [_line((0, 0), (1, 0), (0.35, 1))],
    "8": [arc((0.5, 0.25), (0.43, 0.25), 0, 360), arc((0.5, 0.74), (0.5, 0.26), 0, 360)],
    "9": [1 - points for points in _six()],
    "A": [_line((0, 1), (0.5, 0), (1, 1)), _line((0.2, 0.65), (0.8, 0.65))],
    "B": [_TOP_BOWL, arc((0.5, 0.76), (0.5, 0.24), -90, 90), _line((0.5, 1), (0, 1), (0, 0))],
    "E": [_line((1, 0), (0, 0), (0, 1), (1, 1)), _line((0, 0.5), (0.8, 0.5))],
    "F": [_line((1, 0), (0, 0), (0, 1)), _line((0, 0.5), (0.8, 0.5))],
    "H": [_line((0, 0), (0, 1)), _line((1, 0), (1, 1)), _line((0, 0.5), (1, 0.5))],
    "K": [_line((0, 0), (0, 1)), _line((1, 0), (0, 0.55)), _line((0.3, 0.4), (1, 1))],
    "L": [_line((0, 0), (0, 1), (1, 1))],
    "M": [_line((0, 1), (0, 0), (0.5, 0.6), (1, 0), (1, 1))],
    "N": [_line((0, 1), (0, 0), (1, 1), (1, 0))],
    "O": [arc((0.5, 0.5), (0.5, 0.5), 0, 360)],
    "P": [np.concatenate((_line((0, 1)), _TOP_BOWL))],
    "R": [np.concatenate((_line((0, 1)), _TOP_BOWL)), _line((0.5, 0.52), (1, 1))],
    "S": [np.concatenate((arc((0.5, 0.26), (0.48, 0.26), -20, -270), arc((0.5, 0.75), (0.5, 0.25), -90, 160)))],
    "T": [_line((0, 0), (1, 0)), _line((0.5, 0), (0.5, 1))],
    "X": [_line((0, 0), (1, 1)), _line((1, 0), (0, 1))],
    "Z": [_line((0, 0), (1, 0), (0, 1), (1, 1))],
}

LETTERS = "ABEFHKLMNOPRSTXZ"


def text_marks(text: str, width: float, height: float, pen: float) -> list[Mark]:
    """Write a short text centred on the origin.

    Args:
        text: Digits and capitals of `LETTERS`.
        width: Width of the whole text in sign units, pen included.
        height: Height of the text in sign units, pen included.
        pen: Stroke width in sign units.
    """
    gap = pen * 0.6  # clear space between two characters
    box = (width - gap * (len(text) - 1)) / len(text)
    marks = []
    for position, character in enumerate(text):
        left = -width / 2 + position * (box + gap) + pen / 2
        for points in _FONT[character]:
            scaled = points * (box - pen, height - pen) + (left, -(height - pen) / 2)
            marks.append(Mark(scaled, pen))
    return marks


def _walker() -> list[Mark]:
    # The figure is placed low and narrow, where the triangle is wide enough to hold it.
    limbs = (
        _line((0.0, -0.12), (0.02, 0.2)),
        _line((0.02, 0.2), (0.16, 0.38), (0.22, 0.56)),
        _line((0.02, 0.2), (-0.08, 0.4), (-0.22, 0.54)),
        _line((0.0, -0.08), (0.18, 0.06), (0.24, 0.14)),
        _line((0.0, -0.08), (-0.14, 0.08), (-0.2, 0.16)),
    )
    figure = [Mark(points, 0.11, BLACK) for points in limbs]
    head = Mark(arc((0.01, -0.3), (0.1, 0.1), 0, 360), 0.0, BLACK)
    return [Mark(_line((0, -0.82), (0.82, 0.66), (-0.82, 0.66))), *figure, head]


def _deer() -> list[Mark]:
    # Standing, seen from the side, head up to the right.
    body = _line((-0.46, -0.1), (-0.3, -0.18), (0.16, -0.14), (0.3, -0.44), (0.42, -0.5), (0.62, -0.36), (0.44, -0.3))
    belly = _line((0.34, -0.02), (0.26, 0.14), (-0.2, 0.1), (-0.44, 0.16))
    legs = (
        _line((0.22, 0.06), (0.26, 0.34), (0.24, 0.6)),
        _line((0.12, 0.06), (0.08, 0.34), (0.1, 0.6)),
        _line((-0.32, 0.06), (-0.26, 0.32), (-0.32, 0.6)),
        _line((-0.4, 0.06), (-0.42, 0.32), (-0.46, 0.6)),
    )
    antlers = (_line((0.36, -0.46), (0.24, -0.66), (0.28, -0.84)), _line((0.25, -0.66), (0.1, -0.74)))
    strokes = [Mark(points, 0.09) for points in legs] + [Mark(points, 0.07) for points in antlers]
    return [Mark(np.concatenate((body, belly))), *strokes]


def _signal() -> list[Mark]:
    colours: tuple[Rgb, ...] = ((214, 30, 34), (250, 236, 120), (20, 140, 64))
    lights = [Mark(arc((0, y), (0.14, 0.14), 0, 360), 0.0, rgb) for y, rgb in zip((-0.4, 0, 0.4), colours, strict=True)]
    return [Mark(_line((-0.22, -0.64), (0.22, -0.64), (0.22, 0.64), (-0.22, 0.64))), *lights]


def _bump() -> list[Mark]:
    crown = arc((0, 0.26), (0.34, 0.3), 180, 360)
    return [Mark(crown), Mark(_line((-0.46, 0.3), (0.46, 0.3)), 0.1)]


def _curve() -> list[Mark]:
    return [
        Mark(_line((-0.06, 0.38), (-0.06, 0.16), (-0.02, 0.06), (0.1, -0.02), (0.12, -0.2)), 0.12),
        Mark(_line((-0.06, -0.16), (0.3, -0.16), (0.12, -0.5))),
    ]


def _arrow_up() -> list[Mark]:
    head = _line((0, -0.74), (0.46, -0.18), (0.28, -0.06), (0.12, -0.28), (0.12, 0.7))
    return [Mark(np.concatenate((head, head[::-1] * (-1.0, 1.0))))]


def _exit() -> list[Mark]:
    lettering = [Mark(mark.xy + np.array((-0.26, 0.0)), mark.width) for mark in text_marks("EXT", 1.05, 0.52, 0.1)]
    return [
        *lettering,
        Mark(_line((0.42, 0.26), (0.76, -0.1)), 0.12),
        Mark(_line((0.86, -0.28), (0.84, 0.1), (0.5, -0.24))),
    ]


# Each builds its marks again; templates are cached, so this runs once a class.
PICTOGRAMS: dict[str, Callable[[], list[Mark]]] = {
    "bar": lambda: [Mark(_line((-0.66, -0.16), (0.66, -0.16), (0.66, 0.16), (-0.66, 0.16)))],
    "slash": lambda: [Mark(_line((-0.62, -0.62), (0.62, 0.62)), 0.18, RED)],
    "cross": lambda: [Mark(_line((-0.62, s * 0.62), (0.62, -s * 0.62)), 0.18, RED) for s in (-1, 1)],
    "arrow_up": _arrow_up,
    "crossroads": lambda: [
        Mark(_line((0, -0.46), (0, 0.36)), 0.16),
        Mark(_line((-0.34, 0.06), (0.34, 0.06)), 0.13),
    ],
    "bump": _bump,
    "curve": _curve,
    "deer": _deer,
    "signal": _signal,
    "exit": _exit,
    "walker": _walker,
}
