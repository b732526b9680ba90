"""Images of like shape share batches: little padding, every image once, the same for every number of devices."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.models import load_weights
from detect_transfer.models.letterbox import fit_of
from detect_transfer.training.augment import Augmenter, augment_lines
from detect_transfer.training.context import Interrupted
from detect_transfer.training.dataset import ImageOptions, TrainSet
from detect_transfer.training.mosaic import mosaic
from detect_transfer.training.sampler import EpochBatches, Share
from detect_transfer.training.samples import SampleRef
from detect_transfer.training.shapes import LEAST_BATCHES, ShapeGroups, like_shapes
from detect_transfer.training.train_sample import FittedImage, TrainSample
from detect_transfer.workflows.train import Watch

GROUPS = [np.array([0, 2, 4, 6, 8, 10, 12]), np.array([1, 3, 5, 7, 9, 11])]


def test_images_of_one_shape__are_padded_to_it() -> None:
    groups = like_shapes(np.array([[800, 1360]] * 5), InputSize(640, 640), batch=16)
    assert (groups.sizes, groups.of_image.tolist()) == ((InputSize(384, 640),), [0] * 5)


def test_groups__are_large_enough_and_scale_images_as_ever() -> None:
    random = np.random.default_rng(0)
    sizes_hw = random.integers(200, 1400, (300, 2))
    for imgsz in (InputSize(640, 640), InputSize(416, 704)):
        groups = like_shapes(sizes_hw, imgsz, batch=8)
        assert len(groups) > 3
        assert groups.pixels < 0.85 * imgsz.area * 300
        assert all(len(groups.members(i)) >= LEAST_BATCHES * 8 for i in range(len(groups)))
        assert all(size.height % 32 == size.width % 32 == 0 for size in groups.sizes)
        for index, (height, width) in enumerate(sizes_hw.tolist()):
            plain, own = (fit_of(height, width, size)[0] for size in (imgsz, groups.size_of(index)))
            assert (own.scale_x, own.scale_y) == (plain.scale_x, plain.scale_y)


def test_few_images_of_many_shapes__are_one_group() -> None:
    groups = like_shapes(np.array([[400, 300], [300, 400], [100, 400]]), InputSize(320, 320), batch=4)
    assert groups.sizes == (InputSize(320, 320),)


def test_one_group__has_the_order_that_it_always_had() -> None:
    batches = EpochBatches(np.array([1, 1, 2.5, 1, 1, 1, 1, 1]), batch=4, seed=0)
    assert [[index for _, index, _ in batch] for batch in batches] == [[2, 6, 1, 5], [3, 0, 4, 7], [2, 6]]


def test_batches_of_groups__hold_every_image_once_and_are_of_one_group() -> None:
    ranks = [EpochBatches(np.ones(13), batch=2, seed=0, share=Share(r, 2), groups=GROUPS) for r in range(2)]
    orders = []
    for epoch in (1, 2):
        for rank in ranks:
            rank.epoch = epoch
        steps = list(zip(*ranks, strict=True))
        assert len(steps) == len(ranks[0]) == 4
        for parts in steps:
            assert len(parts[0]) == len(parts[1])
            assert len({index % 2 for part in parts for _, index, _ in part}) == 1
        orders.append([[index for part in parts for _, index, _ in part] for parts in steps])
        assert set(np.concatenate(orders[-1]).tolist()) == set(range(13))
    assert orders[0] != orders[1]
    ranks[0].start = 2
    assert list(ranks[0]) == [parts[0] for parts in steps[2:]]
    ranks[0].epoch, ranks[0].start = 1, 0
    assert [batch for batch in ranks[0].plain(1)] == [
        [(1, index, False) for index in group[i : i + 2].tolist()] for group in GROUPS for i in range(0, len(group), 2)
    ]


def test_rectangles__hold_boxes_where_their_pixels_are(tmp_path: Path) -> None:
    image = np.zeros((50, 100, 3), np.uint8)
    image[10:30, 20:60] = 255
    cv2.imwrite(str(tmp_path / "a.png"), image)
    ref = SampleRef(tmp_path / "a.png", np.array([[20.0, 10, 60, 30]]), np.array([0]), np.empty((0, 4)))
    groups = ShapeGroups((InputSize(96, 192), InputSize(128, 160)), np.array([0, 1]))
    data = TrainSet([ref, ref], ImageOptions(192, Augmenter("none", imgsz=192), 0), groups=groups)
    for index, shape in ((0, (96, 192, 3)), (1, (128, 160, 3))):
        sample = data[1, index][0]
        assert sample.pixels.shape == shape
        ys, xs = np.nonzero(sample.pixels[..., 0] > 127)
        np.testing.assert_allclose(sample.xyxy[0], [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=1)


def test_mosaic_of_rectangles__lays_targets_where_their_pixels_are() -> None:
    images = []
    for value in (50, 100, 150, 200):
        pixels = np.full((64, 128, 3), value, np.uint8)
        sample = TrainSample(pixels, np.array([[0.0, 0, 128, 64]]), np.array([0]), np.empty((0, 4)))
        images.append(FittedImage(sample, (0, 0, 128, 64)))
    out = mosaic(images, random=np.random.default_rng(0))
    assert (out.pixels.shape, len(out.xyxy)) == ((64, 128, 3), 4)
    for (x1, y1, x2, y2), value in zip(out.xyxy.astype(int), (50, 100, 150, 200), strict=True):
        assert (out.pixels[y1:y2, x1:x2] == value).all()
        assert (out.pixels == value).all(axis=2).sum() == (x2 - x1) * (y2 - y1)


def test_what_lays_images_on_their_side__is_refused_for_rectangles() -> None:
    Augmenter([{"RandomRotate90": {}}], imgsz=64)
    with pytest.raises(InputError, match=r"AUGMENT_SHAPE augment\.0=RandomRotate90 .*train\.batch_shapes=one"):
        Augmenter([{"RandomRotate90": {}}], imgsz=InputSize(64, 96))
    with pytest.raises(InputError, match=r"AUGMENT_SHAPE .*64x96"):
        Augmenter([{"RandomRotate90": {}}], imgsz=96, shapes=[InputSize(96, 96), InputSize(64, 96)])


def test_preset_for_rectangles__leaves_quarter_turns_out_and_says_so() -> None:
    square = Augmenter("aerial", imgsz=96)
    assert (square.turns_left_out, "RandomRotate90" in square.mirrors) == ([], True)
    for upright in (
        Augmenter("aerial", imgsz=InputSize(64, 96)),
        Augmenter("aerial", imgsz=96, shapes=[InputSize(96, 96), InputSize(64, 96)]),
    ):
        assert upright.mirrors == ["HorizontalFlip", "VerticalFlip"]
        assert any("RandomRotate90 of the preset is left out" in line for line in augment_lines(upright))


def test_transform_that_changes_the_size_of_one_shape__is_refused() -> None:
    chosen = [{"Resize": {"height": 96, "width": 96, "p": 0.5}}]
    with pytest.raises(InputError, match=r"AUGMENT_OPTION augment\.0\.Resize.*64 x 96 x 3"):
        Augmenter(chosen, imgsz=96, shapes=[InputSize(96, 96), InputSize(64, 96)])


@pytest.fixture(scope="module")
def two_shapes(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the tiny data as COCO, each second image squeezed to half its height."""
    folder = tmp_path_factory.mktemp("shapes") / "data"
    for split, count in (("train", 12), ("val", 2)):
        name = f"annotations/instances_{split}.json"
        content = json.loads((tiny_data / name).read_text())
        content["images"] = content["images"][:count]
        chosen = {image["id"] for image in content["images"]}
        content["annotations"] = [box for box in content["annotations"] if box["image_id"] in chosen]
        squeezed = set()
        for number, image in enumerate(content["images"]):
            pixels = cv2.imread(str(tiny_data / "images" / split / image["file_name"]))
            if number % 2:
                squeezed.add(image["id"])
                image["height"] //= 2
                pixels = cv2.resize(pixels, (image["width"], image["height"]))
            path = folder / "images" / split / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels)
        for box in content["annotations"]:
            box.pop("segmentation", None)
            if box["image_id"] in squeezed:
                x, y, w, h = box["bbox"]
                box["bbox"], box["area"] = [x, y / 2, w, h / 2], w * h / 2
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return folder


LIKE = {"batch": 1, "batch_shapes": "like", "imgsz": "64x96", "epochs": 1}


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_weights(folder / "weights" / "last.safetensors").tensors


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor], apart: float = 0.0) -> None:
    assert all(torch.allclose(tensor, second[name], atol=apart, rtol=0) for name, tensor in first.items())


def test_training_on_like_shapes__resumes_to_the_bit(config, run, two_shapes: Path, tmp_path: Path) -> None:
    transfer = {"strategy": "full", "class_map": "none"}
    chosen = {"data": {"path": two_shapes}, "transfer": transfer, "train": {**LIKE, "mosaic": 0.5}}
    lines: list[str] = []
    run(config("whole", **chosen), watch=Watch(on_stage=lines.append))
    assert "batch 1, 64x96 px; padded by shape: 6 of 64 px, 6 of 64x96 px; 83% of the pixels" in lines
    watch = Watch(on_step=lambda _, step, *__: setattr(watch.stop, "signal", 15) if step == 3 else None)
    with pytest.raises(Interrupted):
        run(config("cut", **chosen), watch=watch)
    run(config("cut", **chosen), resume=True)
    assert_equal(tensors(tmp_path / "whole"), tensors(tmp_path / "cut"))
    assert load_weights(tmp_path / "whole" / "weights" / "best.safetensors").metadata["imgsz"] == "64x96"
    assert "imgsz: 64x96\n" in (tmp_path / "whole" / "config.yaml").read_text()


def test_kept_features_of_like_shapes__train_as_images_do(config, run, two_shapes: Path, tmp_path: Path) -> None:
    plain = {"epochs": 1, "train": ["head"], "lr": 1e-3}
    for name, cached in (("plain", {}), ("kept", {"cache_features": 1})):
        transfer = {"phases": [{**plain, **cached}], "class_map": "none"}
        run(config(name, data={"path": two_shapes}, train=LIKE, transfer=transfer))
    assert_equal(tensors(tmp_path / "plain"), tensors(tmp_path / "kept"), apart=1e-5)
