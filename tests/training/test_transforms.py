"""Every transform of albumentations moves boxes as it moves pixels, or is refused by name before training."""

import re
import warnings
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import albumentations as A

from detect_transfer.core.errors import InputError
from detect_transfer.training.augment import Augmenter
from detect_transfer.training.train_sample import TrainSample
from detect_transfer.training.transforms import Affine

SIDE = 96
SIZED = {"height": SIDE, "width": SIDE}
OPTIONS: dict[str, dict[str, Any]] = {
    "Affine": {"scale": [0.6, 1.4], "rotate": [-10, 10]},
    "AtLeastOneBBoxRandomCrop": SIZED,
    "CenterCrop": SIZED,
    "Crop": {"x_min": 0, "y_min": 0, "x_max": SIDE, "y_max": SIDE},
    "CropAndPad": {"percent": [-0.2, 0.2]},
    "ElasticTransform": {"alpha": 60, "sigma": 8},
    "GridElasticDeform": {"num_grid_xy": [4, 4], "magnitude": 6},
    "LongestMaxSize": {"max_size": SIDE},
    "PadIfNeeded": {"min_height": SIDE, "min_width": SIDE},
    "RandomCrop": SIZED,
    "RandomResizedCrop": {"size": [SIDE, SIDE]},
    "RandomSizedBBoxSafeCrop": SIZED,
    "RandomSizedCrop": {"min_max_height": [60, SIDE], "size": [SIDE, SIDE]},
    "Resize": SIZED,
    "SmallestMaxSize": {"max_size": SIDE},
}
NAMES = [n for n, kind in vars(A).items() if isinstance(kind, type) and issubclass(kind, A.BasicTransform)]
MOVES = ("Affine", "D4", "ElasticTransform", "HorizontalFlip", "PiecewiseAffine", "ThinPlateSpline", "Transpose")
BOXES = np.array([[0.0, 2, 30, 34], [50, 50, 95, 96], [40, 6, 70, 30]])  # two of them touch the edge


def sample() -> TrainSample:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    for channel, (x1, y1, x2, y2) in enumerate(BOXES.astype(int)):
        pixels[y1:y2, x1:x2, channel] = 255
    return TrainSample(pixels, BOXES, np.arange(3), np.empty((0, 4)))


def overlap(box: np.ndarray, pixels: np.ndarray) -> float:
    """Return the IoU of a box with the extent of the pixels of one object."""
    ys, xs = np.nonzero(pixels > 127)
    if not len(ys):
        return 0.0
    extent = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    common = np.clip(np.minimum(box[2:], extent[2:]) - np.maximum(box[:2], extent[:2]), 0, None).prod()
    return float(common / ((box[2:] - box[:2]).prod() + (extent[2:] - extent[:2]).prod() - common))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(NAMES))
def test_transform__moves_boxes_right_or_is_refused(name: str) -> None:
    try:
        augmenter = Augmenter([{name: {**OPTIONS.get(name, {}), "p": 1.0}}], imgsz=SIDE)
    except InputError as error:
        assert re.match(f"AUGMENT_(UNKNOWN|OPTION) .*{name}", str(error))  # noqa: PT017
        return
    moved = 0
    for seed in range(10):
        out = augmenter(sample(), seed=seed)
        for box, label in zip(out.xyxy, out.labels, strict=True):
            # what moves no pixel, or hides a part of an object, leaves its box as it was
            still = np.allclose(box, BOXES[label], atol=1e-3)
            assert still or overlap(box, out.pixels[..., label]) > 0.6, (seed, label, box)
            moved += not still
    assert moved or name not in MOVES


@pytest.mark.parametrize("name", ["RandomGridShuffle", "Morphological"])
def test_transform_with_wrong_boxes__is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"AUGMENT_UNKNOWN augment\.0={name}"):
        Augmenter([{name: {}}], imgsz=SIDE)


@pytest.mark.parametrize("interpolation", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("fill", [114, (200.0, 10.0, 60.0)])
@pytest.mark.parametrize("border_mode", [0, 1, 4])
def test_affine__gives_the_pixels_of_albumentations(
    interpolation: int, fill: int | tuple[float, ...], border_mode: int
) -> None:
    options = {
        "scale": (0.5, 1.5),
        "translate_percent": (-0.2, 0.2),
        "rotate": (-20, 20),
        "interpolation": interpolation,
        "fill": fill,
        "border_mode": border_mode,
        "p": 1.0,
    }
    pixels = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    for seed in range(5):
        plain, quick = (A.Compose([kind(**options)], seed=seed)(image=pixels)["image"] for kind in (A.Affine, Affine))
        # not one grey level apart where OpenCV uses the same instructions for three channels and four
        assert np.abs(plain.astype(int) - quick).max() <= 1
        assert quick.shape == plain.shape
        assert quick.flags.c_contiguous
