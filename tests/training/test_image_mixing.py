"""Mixed images: every box bounds what is seen of its object, ignored regions stay in sight, a seed decides all."""

from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest

from detect_transfer.config import Mirror, RunConfig
from detect_transfer.config.augment import (
    OWN_TRANSFORMS,
    PRESETS,
    AugmentName,
    CopyPaste,
    ScaleByBoxes,
    augment_entries,
)
from detect_transfer.core.choices import AugmentPreset
from detect_transfer.core.errors import InputError
from detect_transfer.training.augment import Augmenter, augment_lines, mixing_lines
from detect_transfer.training.copy_paste import paste
from detect_transfer.training.dataset import ImageOptions, TrainSet, make_loader
from detect_transfer.training.image_mixing import mixup
from detect_transfer.training.mirroring import choose_mirroring
from detect_transfer.training.mosaic import mosaic
from detect_transfer.training.plan import Plan, PlannedPhase
from detect_transfer.training.sampler import EpochBatches
from detect_transfer.training.samples import SampleRef
from detect_transfer.training.train_sample import FittedImage, TrainSample
from detect_transfer.training.transforms import scale_range

IMGSZ = 160
GREY = 60
COLOURS = [np.array(c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255))]
EMPTY = np.empty((0, 4))


def drawn_refs(folder: Path, count: int = 6) -> list[SampleRef]:
    """Write images of odd sizes, each with two rectangles of its colour and a white ignored region."""
    refs = []
    for i in range(count):
        random = np.random.default_rng(i)
        width, height = (int(v) for v in random.integers(201, 399, 2))
        pixels = np.full((height, width, 3), GREY, np.uint8)
        boxes = []
        for part in range(2):  # one in each half
            x1 = part * (width // 2) + int(random.integers(3, width // 4))
            y1 = int(random.integers(3, height // 2))
            x2, y2 = x1 + int(random.integers(20, width // 5)), y1 + int(random.integers(20, height // 3))
            pixels[y1:y2, x1:x2] = COLOURS[i]
            boxes.append([x1, y1, x2, y2])
        region = [width // 3, height - 30, width // 3 + 40, height - 5]
        pixels[region[1] : region[3], region[0] : region[2]] = 255
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), pixels[..., ::-1])
        xyxy, ignored = (np.array(b, dtype=np.float64) for b in (boxes, [region]))
        refs.append(SampleRef(path, xyxy, np.array([i, i]), ignored))
    return refs


def without_colour(augment: list) -> list:
    """Return the transforms of a config without those that change colours."""
    return [{e.name: e.options} for e in augment_entries(augment) if e.name not in ("ColorJitter", "MixUp")]


def nearest_colour(pixels: np.ndarray) -> np.ndarray:
    """Return for each pixel (H, W) the label of its colour, -1 for background and -2 for the ignored region."""
    colours = [*COLOURS, [GREY] * 3, [114] * 3, [255] * 3]
    distance = [np.abs(pixels.astype(int) - colour).sum(axis=2) for colour in colours]
    return np.array([*range(len(COLOURS)), -1, -1, -2])[np.argmin(distance, axis=0)]


@pytest.mark.parametrize(
    "augment",
    [
        pytest.param(["none"], id="letterbox"),
        pytest.param([{"CopyPaste": {"p": 1.0, "objects": 4, "hides": 0.6}}], id="pasted"),
        pytest.param([{"Mosaic": {"p": 1.0}}], id="mosaic"),
        *(pytest.param([name], id=name) for name in PRESETS if name != "none"),
    ],
)
def test_boxes__bound_what_is_seen_of_their_objects(tmp_path: Path, augment: list) -> None:
    refs = drawn_refs(tmp_path)
    images = TrainSet(refs, ImageOptions(IMGSZ, Augmenter(without_colour(augment), imgsz=IMGSZ), 0))
    checked = 0
    for epoch in range(1, 4):
        for index in range(len(refs)):
            sample, _, _ = images[epoch, index, True]
            seen = nearest_colour(sample.pixels)
            covered = np.zeros(seen.shape, bool)
            for x1, y1, x2, y2 in [*sample.xyxy, *sample.ignored]:
                covered[int(max(0, y1 - 1)) : int(np.ceil(y2 + 1)), int(max(0, x1 - 1)) : int(np.ceil(x2 + 1))] = True
            for label in range(len(COLOURS)):
                assert covered[seen == label].all(), "an object without a box"
            assert covered[seen == -2].all(), "a part of an ignored region that is background"
            for box, label in zip(sample.xyxy, sample.labels, strict=True):
                ys, xs = np.nonzero(seen == label)
                near = (xs > box[0] - 2) & (xs < box[2] + 1) & (ys > box[1] - 2) & (ys < box[3] + 1)
                ys, xs = ys[near], xs[near]
                extent = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
                others = np.delete(sample.xyxy, np.flatnonzero((sample.xyxy == box).all(axis=1))[:1], axis=0)
                if ((others[:, :2] < box[2:] + 2) & (others[:, 2:] > box[:2] - 2)).all(axis=1).any():
                    assert (extent[:2] - box[:2] <= 1).all()  # another object lies beside it
                    assert (box[2:] - extent[2:] <= 1).all()
                    continue
                assert np.abs(extent - box).max() <= 1, (epoch, index, label, box, extent)
                checked += 1
    assert checked > 12


def fitted(boxes: list, ignored: list | None = None, *, colour: int = 0, size: int = 96) -> FittedImage:
    pixels = np.full((size, size, 3), GREY, np.uint8)
    xyxy, regions = (np.array(b, dtype=np.float64).reshape(-1, 4) for b in (boxes, ignored or []))
    for x1, y1, x2, y2 in xyxy.astype(int):
        pixels[y1:y2, x1:x2] = COLOURS[colour]
    return FittedImage(TrainSample(pixels, xyxy, np.full(len(xyxy), colour), regions), (0, 0, size, size))


def test_paste__never_touches_an_ignored_region_and_hides_little() -> None:
    source = fitted([[20, 30, 44, 54]], colour=1)
    target = fitted([[50, 20, 90, 70]], [[0, 0, 30, 96]])
    before = target.sample.pixels.copy()
    pasted = 0
    for seed in range(60):
        out = paste(target, source, CopyPaste(objects=3, hides=0.2), random=np.random.default_rng(seed))
        assert np.array_equal(out.pixels[:, :30], before[:, :30])
        assert (nearest_colour(out.pixels[20:70, 50:90]) == 0).mean() >= 0.8 - 0.02
        assert out.ignored.tolist() == [[0, 0, 30, 96]]
        assert (out.labels == 0).sum() == 1
        pasted += len(out.labels) - 1
    assert pasted > 30
    assert np.array_equal(target.sample.pixels, before)


def test_paste__ignores_what_it_hides_nearly_whole() -> None:
    source, target = fitted([[30, 30, 62, 62]], colour=1), fitted([[40, 40, 48, 48]])
    options = CopyPaste(objects=1, hides=1.0, scale=(1.0, 1.0))
    hidden = [paste(target, source, options, random=np.random.default_rng(seed)) for seed in range(40)]
    gone = [out for out in hidden if 0 not in out.labels]
    assert gone
    strips = np.concatenate([out.ignored for out in gone])
    assert len(strips) < len(gone), "what is hidden whole is not there"
    assert all(np.prod(strip[2:] - strip[:2]) <= 0.1 * 64 or min(strip[2:] - strip[:2]) < 2 for strip in strips)


@pytest.mark.parametrize(
    ("boxes", "ignored"),
    [
        pytest.param([], [], id="none"),
        pytest.param([[0, 30, 20, 60]], [], id="cut-by-the-edge"),
        pytest.param([[30, 30, 33, 60]], [], id="tiny"),
        pytest.param([[20, 20, 60, 60], [30, 30, 50, 50]], [], id="one-in-another"),
        pytest.param([[20, 20, 60, 60]], [[40, 40, 90, 90]], id="partly-ignored"),
    ],
)
def test_paste__takes_only_whole_objects_that_are_alone(boxes: list, ignored: list) -> None:
    target = fitted([])
    for seed in range(5):
        out = paste(target, fitted(boxes, ignored), CopyPaste(), random=np.random.default_rng(seed))
        assert len(out.labels) == 0


def test_paste__stays_off_the_padding() -> None:
    target = FittedImage(fitted([]).sample, (0, 30, 96, 66))
    for seed in range(30):
        out = paste(target, fitted([[20, 10, 34, 30]], colour=1), CopyPaste(), random=np.random.default_rng(seed))
        assert (out.pixels[:30] == GREY).all()
        assert (out.pixels[66:] == GREY).all()
        assert len(out.labels)


def test_mixup__has_the_objects_and_regions_of_both() -> None:
    first, second = fitted([[10, 10, 30, 30]], [[0, 0, 5, 5]]), fitted([[40, 40, 80, 90]], [[90, 90, 96, 96]], colour=1)
    out = mixup(first.sample, second.sample, random=np.random.default_rng(0))
    assert out.xyxy.tolist() == [[10, 10, 30, 30], [40, 40, 80, 90]]
    assert out.labels.tolist() == [0, 1]
    assert out.ignored.tolist() == [[0, 0, 5, 5], [90, 90, 96, 96]]
    share = (out.pixels[20, 20, 0] - GREY) / (255 - GREY)
    assert 0.3 < share < 0.7
    assert out.pixels[60, 60, 1] == pytest.approx(GREY * share + 255 * (1 - share), abs=2)


def test_scale_by_boxes__keeps_small_boxes_large_enough_and_large_ones_inside() -> None:
    options = ScaleByBoxes()
    assert scale_range(np.full(9, 80.0), 640, options) == (0.5, 2.0)
    assert scale_range(np.full(9, 10.0), 640, options) == (0.8, 2.0)
    assert scale_range(np.full(9, 6.0), 640, options) == (1.0, 2.0)
    assert scale_range(np.full(9, 400.0), 640, options) == (0.5, 1.28)
    augmenter = Augmenter("signs", imgsz=640, box_sides=np.full(9, 10.0))
    assert augment_lines(augmenter) == ["training images are scaled by 0.80 to 2.00, which their boxes allow"]


def test_mixing__is_said_of_the_epochs_that_it_is_in() -> None:
    augmenter = Augmenter("signs", imgsz=96)

    def line(*epochs: int, until: float = 0.7, views: int = 0, budget: float | None = None) -> str:
        phases = [PlannedPhase(i, 1 + sum(epochs[: i - 1]), n, {}, views=views) for i, n in enumerate(epochs, 1)]
        parts = {"train": {"mosaic_until": until}, "transfer": {"budget": budget}}
        config = RunConfig.model_validate({"data": {"path": "."}, **parts})
        return mixing_lines(augmenter, Plan("x", tuple(phases), 1.0), config)[0]

    assert line(10) == "training images are mixed in epochs 1-7: CopyPaste 0.5"
    assert line(2, 1, 10, until=0.5) == "training images are mixed in epochs 1, 4-8: CopyPaste 0.5"
    assert line(1, until=1.0) == "training images are mixed in epoch 1: CopyPaste 0.5"
    in_time = "training images are mixed in the first 70% of the epochs, or of the time, of phase 1, 2: CopyPaste 0.5"
    assert line(10, 20, budget=5) == in_time
    for never in (line(1), line(1, 1), line(10, views=2)):
        assert never.startswith("training images are never mixed (CopyPaste 0.5): no phase has an epoch within its")
    config = RunConfig.model_validate({"data": {"path": "."}})
    assert mixing_lines(Augmenter("default", imgsz=96), Plan("x", (), 1.0), config) == []


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_preset__mirrors_only_where_it_may(name) -> None:
    on, off = (choose_mirroring(Mirror(images=value), ["a"], data_set="") for value in (True, False))
    assert Augmenter(name, imgsz=96, mirroring=off).mirrors == []
    flips = Augmenter(name, imgsz=96, mirroring=on).mirrors
    assert bool(flips) == (name not in ("none", "signs"))


@pytest.mark.parametrize("workers", [0, 2])
def test_mixed_images__are_the_same_whatever_loads_them(tmp_path: Path, workers: int) -> None:
    augmenter = Augmenter([{"CopyPaste": {}}, {"Mosaic": {}}, {"MixUp": {"p": 0.5}}, "default"], imgsz=96)
    images = TrainSet(drawn_refs(tmp_path), ImageOptions(96, augmenter, 0))
    batches = EpochBatches(np.ones(6), batch=4, seed=0)
    batches.mixes = True
    for batch, keys in zip(make_loader(images, batches, workers=workers, pin=False), batches, strict=True):
        for pixels, target, key in zip(batch.images, batch.targets, keys, strict=True):
            sample, _, _ = images[key]
            assert np.array_equal(pixels.permute(1, 2, 0).numpy(), sample.pixels)
            assert np.array_equal(target.xyxy, sample.xyxy)
    assert not np.array_equal(images[1, 0, True][0].pixels, images[1, 0, False][0].pixels)


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ([{"Mosaic": {"p": 2}}], r"AUGMENT_OPTION augment\.0\.Mosaic\.p=2 .*a number in \[0, 1\] was expected"),
        (
            [{"Mosaic": {"prob": 1}}],
            r"AUGMENT_OPTION augment\.0\.Mosaic\.prob=1 - Mosaic has no such option; there is: p",
        ),
        (
            [{"CopyPaste": {"scale": 2}}],
            r"AUGMENT_OPTION augment\.0\.CopyPaste\.scale=2 - a list of 2 numbers in \(0, 10\]",
        ),
        (["default", {"CopyPaste": {"scale": [2, 1]}}], r"AUGMENT_OPTION augment\.1\.CopyPaste.*down to 1"),
        ([{"ScaleByBoxes": {"limits": [2, 3]}}], r"AUGMENT_OPTION augment\.0\.ScaleByBoxes.*1 between"),
        ([{"Mosiac": {}}], r"AUGMENT_UNKNOWN augment\.0=Mosiac .*did you mean 'Mosaic'"),
    ],
)
def test_wrong_options__are_reported(augment: list, message: str) -> None:
    chosen = RunConfig.model_validate({"data": {"synthetic": {}}, "augment": augment}).augment
    with pytest.raises(InputError, match=message):
        Augmenter(chosen, imgsz=64)


def test_later_entries__replace_the_mixing_of_earlier_ones() -> None:
    assert Augmenter(["small_set", {"Mosaic": {"p": 0}}], imgsz=64).mixing.shares == {"CopyPaste": 0.5}
    assert Augmenter("small_set", imgsz=64, mosaic=0.9).mixing.shares == {"CopyPaste": 0.5, "Mosaic": 0.9}


def test_explanation_of_augment__has_every_preset_and_every_transform_of_ours() -> None:
    text = str(RunConfig.model_fields["augment"].description)
    assert all(f"`{name}: [" in text for name in PRESETS if name != "none")
    assert all(f"`{name}`: " in text for name in OWN_TRANSFORMS)


def test_mosaic__has_no_padding_where_its_images_meet() -> None:
    wide = []
    for colour in range(4):
        pixels = np.full((96, 96, 3), 114, np.uint8)
        pixels[30:66] = COLOURS[colour]
        wide.append(FittedImage(TrainSample(pixels, EMPTY, np.empty(0, np.int64), EMPTY), (0, 30, 96, 66)))
    for seed in range(5):
        labels = nearest_colour(mosaic(wide, random=np.random.default_rng(seed)).pixels)
        around = np.stack([labels[:-1, :-1], labels[:-1, 1:], labels[1:, :-1], labels[1:, 1:]])
        assert (around == np.arange(4)[:, None, None]).all(axis=0).sum() == 1


def test_names_of_presets__are_those_of_the_command_line() -> None:
    assert list(get_args(AugmentName)) == list(PRESETS) == [each.value for each in AugmentPreset]
