"""The two sign tasks as plain data: which classes there are and how each is drawn."""

from dataclasses import dataclass
from typing import Literal

Rgb = tuple[int, int, int]
Outline = Literal["circle", "octagon", "diamond", "square", "wide", "plate", "triangle_up", "triangle_down"]
Setting = Literal["country", "city"]

RED: Rgb = (196, 22, 32)
BLUE: Rgb = (16, 78, 168)
WHITE: Rgb = (240, 240, 236)
BLACK: Rgb = (22, 22, 24)
YELLOW: Rgb = (244, 196, 24)
GREEN: Rgb = (10, 112, 66)


@dataclass(frozen=True, slots=True)
class SignClass:
    """One kind of traffic sign and the recipe of its face.

    Attributes:
        name: Class name, unique over all tasks.
        outline: Shape of the sign's edge.
        rim_rgb: Colour of the band along the edge, 0..255.
        face_rgb: Colour inside the band, 0..255.
        ink_rgb: Colour of the pictogram or text, 0..255.
        rim: Width of the band in half sign widths, 0 for none.
        edge: Width of the thin face-coloured line outside the band, in half sign widths, 0 for none.
        symbol: Key of `glyphs.PICTOGRAMS`, empty for none.
        text: Digits or capitals written across the face, empty for none.
    """

    name: str
    outline: Outline
    rim_rgb: Rgb
    face_rgb: Rgb
    ink_rgb: Rgb = BLACK
    rim: float = 0.2
    edge: float = 0.0
    symbol: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class SignTask:
    """A detection task: its classes in index order and the surroundings that they stand in.

    Attributes:
        name: Key of the task in `TASKS`; it also seeds the drawing.
        classes: Sign classes; the position is `Scene.class_index`.
        setting: Style of the surroundings.
    """

    name: str
    classes: tuple[SignClass, ...]
    setting: Setting


_SOURCE = (
    SignClass("no_entry", "circle", WHITE, RED, WHITE, rim=0.06, symbol="bar"),
    SignClass("no_parking", "circle", RED, BLUE, RED, symbol="slash"),
    SignClass("no_stopping", "circle", RED, BLUE, RED, symbol="cross"),
    SignClass("ahead_only", "circle", WHITE, BLUE, WHITE, rim=0.06, symbol="arrow_up"),
    SignClass("minimum_30", "circle", WHITE, BLUE, WHITE, rim=0.06, text="30"),
    SignClass("minimum_60", "circle", WHITE, BLUE, WHITE, rim=0.06, text="60"),
    SignClass("minimum_80", "circle", WHITE, BLUE, WHITE, rim=0.06, text="80"),
    SignClass("warning_crossroads", "triangle_up", RED, WHITE, symbol="crossroads"),
    SignClass("warning_bump", "triangle_up", RED, WHITE, symbol="bump"),
    SignClass("warning_curve", "triangle_up", RED, WHITE, symbol="curve"),
    SignClass("diamond_deer", "diamond", BLACK, YELLOW, rim=0.05, edge=0.06, symbol="deer"),
    SignClass("diamond_signal", "diamond", BLACK, YELLOW, rim=0.05, edge=0.06, symbol="signal"),
    SignClass("exit_right", "wide", WHITE, GREEN, WHITE, rim=0.06, symbol="exit"),
    SignClass("route_12", "plate", BLACK, WHITE, rim=0.07, edge=0.06, text="12"),
    SignClass("route_97", "plate", BLACK, WHITE, rim=0.07, edge=0.06, text="97"),
)

_TARGET = (
    SignClass("speed_30", "circle", RED, WHITE, text="30"),
    SignClass("speed_120", "circle", RED, WHITE, text="120"),
    SignClass("stop", "octagon", WHITE, RED, WHITE, rim=0.07, text="STOP"),
    SignClass("give_way", "triangle_down", RED, WHITE),
    SignClass("crosswalk", "square", WHITE, BLUE, WHITE, rim=0.05, symbol="walker"),
    SignClass("priority_road", "diamond", WHITE, YELLOW, rim=0.26),
)

TASKS: dict[str, SignTask] = {
    "source": SignTask("source", _SOURCE, "country"),
    "target": SignTask("target", _TARGET, "city"),
}
