"""The protocols of the log-average miss rate, with the bounds of their subsets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Literal

from detect_transfer.evaluation.attributes import WALKING, Bounds, Span

# as the toolboxes have them: Caltech and ECP compute the nine points, the others write them with four digits
NINE_POINTS = tuple(10 ** (i / 4) for i in range(-8, 1))
NINE_ROUNDED = (0.0100, 0.0178, 0.0316, 0.0562, 0.1000, 0.1778, 0.3162, 0.5623, 1.0000)
NINE_FROM_MINUS_FOUR = tuple(10 ** (i / 2) for i in range(-8, 1))  # those of MR^-4

Clip = Literal["none", "image", "start_inside"]
Visible = Literal["share", "unhidden_is_infinite", "flag"]
ReadAt = Literal["last_up_to", "last_up_to_wrapping", "first_from"]


@dataclass(frozen=True)
class Protocol:
    """How a benchmark makes the miss rate.

    Args:
        subsets: The bounds of each subset on `height`, `visible`, `occluded`, `truncated` and `off_aspect`, how far
            width / height is from .41; an object outside them is ignored.
        source: The code or text that it follows.
        fppi: The false positives per image at which the curve is read.
        read_at: `last_up_to`: the last point with no more false positives, recall 0 where there is none;
            `last_up_to_wrapping`: as the CityPersons code, which there takes the very last point of the curve;
            `first_from`: the first point with as many, the last point where there is none.
        visible: `share`: as the table states; `unhidden_is_infinite`: an object with nothing hidden is beyond every
            upper bound; `flag`: .5 for every occluded object, 1 for the others.
        variants: The same with another rule, each with its own subsets, which are scored beside the others.
        expand: A detection takes part if its height is at least the lowest of the subset divided by this and less than
            the highest times this.
        above_lowest: The detection must be higher than that instead of as high.
        overlap: The least overlap, of a true positive and of what excuses.
        strictly: The overlap must be more than that, and of equal ones the first box wins instead of the last.
        aspect: Objects and detections get this width for their height, about their centre.
        margin: An object must stay this many pixels from the border of the image, counted from pixel 1.
        clip: `image`: boxes are cut at the border; `start_inside`: so too, and their corner lies in a pixel.
        ignored_by_iou: Ignored boxes that are no crowd excuse by IoU instead of the share of the detection.
        max_detections: How many detections of a class count in an image.
        discarded: By class in lower case, the reasons for which a box is ignored that leave it out: it excuses nothing.
        counted: By class in lower case, the reasons for which a box is ignored that do not count: it is an object.
        neighbours: Classes whose boxes a detection of a class may match without harm.
        classes: The classes that are scored, by name in any case; where the truth has none of them, all are.
    """

    subsets: Mapping[str, Bounds]
    source: str
    fppi: tuple[float, ...] = NINE_ROUNDED
    read_at: ReadAt = "last_up_to"
    visible: Visible = "share"
    variants: tuple[Protocol, ...] = ()
    expand: float = 1.25
    above_lowest: bool = False
    overlap: float = 0.5
    strictly: bool = False
    aspect: float | None = None
    margin: float | None = None
    clip: Clip = "none"
    ignored_by_iou: bool = False
    max_detections: int | None = None
    discarded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    neighbours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: tuple[str, ...] = ("pedestrian", "person")


def _tall(low: float, high: float = inf, *, visible: tuple[float, float] = (0.0, inf)) -> Bounds:
    """Bounds as Caltech has them: the height stays below the highest."""
    return {"height": Span(low, high, below=True), "visible": Span(*visible)}


def _size(low: float, high: float = inf, *, visible: tuple[float, float] = (0.65, inf)) -> Bounds:
    """Bounds as CityPersons has them: both ends are in."""
    return {"height": Span(low, high), "visible": Span(*visible)}


def _hidden(low: float, occluded: Span, truncated: float, *, high: float = inf) -> Bounds:
    """Bounds as EuroCity has them: the shares stay below the highest."""
    return {"height": Span(low, high), "occluded": occluded, "truncated": Span(0, truncated, below=True)}


_REASONABLE = _tall(50, visible=(0.65, inf))
_UNHIDDEN = _tall(50, visible=(inf, inf))
_CALTECH = Protocol(
    subsets={
        "reasonable": _REASONABLE,
        "all": _tall(20, visible=(0.2, inf)),
        "scale_large": _tall(100, visible=(inf, inf)),
        "scale_near": _tall(80, visible=(inf, inf)),
        "scale_medium": _tall(30, 80, visible=(inf, inf)),
        "scale_far": _tall(20, 30, visible=(inf, inf)),
        "occlusion_none": _UNHIDDEN,
        "occlusion_partial": _tall(50, visible=(0.65, 1.0)),
        "occlusion_heavy": _tall(50, visible=(0.2, 0.65)),
        "aspect_all": _UNHIDDEN,
        "aspect_typical": {**_UNHIDDEN, "off_aspect": Span(0, 0.1, below=True)},
        "aspect_atypical": {**_UNHIDDEN, "off_aspect": Span(0.1, above=True)},
        "overlap_50": _REASONABLE,
        "expand_125": _REASONABLE,
    },
    source="Caltech toolbox 3.2.1, dbEval.m and bbGt.m",
    fppi=NINE_POINTS,
    visible="unhidden_is_infinite",
    aspect=WALKING,
    margin=5,
    neighbours={"person": ("people", "person?")},
)
CALTECH = replace(
    _CALTECH,
    variants=(
        replace(_CALTECH, subsets={"overlap_25": _REASONABLE}, overlap=0.25),
        replace(_CALTECH, subsets={"overlap_75": _REASONABLE}, overlap=0.75),
        replace(_CALTECH, subsets={"expand_100": _REASONABLE}, expand=1.0),
        replace(_CALTECH, subsets={"expand_150": _REASONABLE}, expand=1.5),
        replace(_CALTECH, subsets={"reasonable_mr4": _REASONABLE}, fppi=NINE_FROM_MINUS_FOUR),
    ),
)
INRIA = replace(
    CALTECH,
    source=f"{CALTECH.source}: no rule of the border",
    variants=tuple(replace(variant, margin=None) for variant in CALTECH.variants),
    margin=None,
)
_CITYPERSONS_SUBSETS: dict[str, Bounds] = {
    "reasonable": _size(50),
    "reasonable_small": _size(50, 75),
    "reasonable_heavy": _size(50, visible=(0.2, 0.65)),
    "all": _size(20, visible=(0.2, inf)),
}
CITYPERSONS = Protocol(
    # the second four are those of the papers; the two kinds of heavy differ
    subsets={
        **_CITYPERSONS_SUBSETS,
        "bare": _size(50, visible=(0.9, inf)),
        "partial": _size(50, visible=(0.65, 0.9)),
        "heavy": _size(50, visible=(0.0, 0.65)),
        "middle": _size(75, 100),
        "large": _size(100),
    },
    source="CityPersons eval_MR_multisetup.py",
    max_detections=1000,
    neighbours={"pedestrian": ("rider", "sitting person", "person (other)", "person group")},
)
# the codes of these two look at the one class alone: riders excuse nothing unless the data mark them as ignored
NIGHTOWLS = Protocol(
    subsets=_CITYPERSONS_SUBSETS,
    source="NightOwls eval_MR_multisetup.py, that of CityPersons with a visible share of .5 or 1",
    visible="flag",
    max_detections=1000,
)
TJU_PEDESTRIAN = Protocol(
    subsets={**_CITYPERSONS_SUBSETS, "reasonable_and_heavy": _size(50, visible=(0.2, inf))},
    source="TJU-DHD-pedestrian, the evaluation of CityPersons",
    max_detections=1000,
)
_EUROCITY_SUBSETS: dict[str, Bounds] = {
    "reasonable": _hidden(40, Span(0, 0.4, below=True), 0.4),
    "small": _hidden(30, Span(0, 0.4, below=True), 0.4, high=60),
    "occluded": _hidden(40, Span(0.4, 0.8, below=True), 0.8),
    "all": _hidden(20, Span(0, 0.8, below=True), 0.8),
}
_EUROCITY_GROUPS = {"pedestrian": ("person-group-far-away",), "rider": ("rider+vehicle-group-far-away",)}
_EUROCITY = Protocol(
    subsets=_EUROCITY_SUBSETS,
    source="EuroCity Persons benchmark code, params.py, match.py and statistics.py; riders without their vehicles",
    fppi=NINE_POINTS,
    above_lowest=True,
    clip="image",
    ignored_by_iou=True,
    discarded={"person-group-far-away": ("depiction",)},
    counted={"pedestrian": ("depiction",), "rider": ("sitting-lying", "behind-glass", "depiction")},
    neighbours=_EUROCITY_GROUPS,
    classes=("pedestrian", "rider"),
)
EUROCITY = replace(
    _EUROCITY,
    variants=(
        replace(
            _EUROCITY,
            subsets={f"{name}_others_ignored": bounds for name, bounds in _EUROCITY_SUBSETS.items()},
            neighbours={
                "pedestrian": ("rider", *_EUROCITY_GROUPS["pedestrian"]),
                "rider": ("pedestrian", *_EUROCITY_GROUPS["rider"]),
            },
        ),
    ),
)
CROWDHUMAN = Protocol(
    subsets={"all": {}},
    source="CrowdDet evaluation of CrowdHuman",
    classes=(),  # whichever box of the person is the target
    read_at="first_from",
    strictly=True,
    clip="start_inside",
)

PROTOCOLS: dict[str, Protocol] = {
    "miss_rate_caltech": CALTECH,
    "miss_rate_citypersons": CITYPERSONS,
    "miss_rate_eurocity": EUROCITY,
    "miss_rate_inria": INRIA,
    "miss_rate_nightowls": NIGHTOWLS,
    "miss_rate_tju": TJU_PEDESTRIAN,
    "miss_rate_crowdhuman": CROWDHUMAN,
}
