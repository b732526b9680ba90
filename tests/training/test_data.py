"""Training pictures: the same whatever loads them, every picture once an epoch, ignored regions out of sight."""

from pathlib import Path

import numpy as np
import pytest
import torch

from detect_transfer.config import RunConfig
from detect_transfer.errors import InputError
from detect_transfer.formats import READERS
from detect_transfer.images import read_rgb
from detect_transfer.training.augment import Augmenter
from detect_transfer.training.data import EpochBatches, Sample, TrainSet, make_loader, samples_of


def make_set(tiny_data: Path, *, cache_mb: int, augment="default", seed: int = 0) -> TrainSet:
    table = READERS["data_folder"].read(tiny_data).split_of("train")
    rows = table.images.select("image_id", "file_name").iter_rows()
    paths = {i: tiny_data / "images" / name for i, name in rows}
    return TrainSet(samples_of(table, paths), imgsz=96, augmenter=Augmenter(augment), seed=seed, cache_mb=cache_mb)


def test_a_picture__depends_on_seed_epoch_and_place_alone(tiny_data: Path) -> None:
    kept, read_again = make_set(tiny_data, cache_mb=100), make_set(tiny_data, cache_mb=0)
    for key in [(1, 3), (2, 3), (1, 0)]:
        first, second = kept[key], read_again[key]
        assert np.array_equal(first[0], second[0])
        assert np.array_equal(first[1].xyxy, second[1].xyxy)
    assert not np.array_equal(kept[(1, 3)][0], kept[(2, 3)][0])
    assert not np.array_equal(kept[(1, 3)][0], make_set(tiny_data, cache_mb=0, seed=1)[(1, 3)][0])


@pytest.mark.parametrize("workers", [0, 2])
def test_loader__gives_the_same_batches_with_any_number_of_workers(tiny_data: Path, workers: int) -> None:
    data = make_set(tiny_data, cache_mb=100)
    batches = EpochBatches(len(data), batch=6, seed=0)
    loaded = list(make_loader(data, batches, workers=workers, pin=False))
    places = list(batches)
    assert [len(b.targets) for b in loaded] == [6, 6, 6, 2]
    for batch, keys in zip(loaded, places, strict=True):
        expected = torch.from_numpy(np.stack([data[key][0] for key in keys])).permute(0, 3, 1, 2)
        assert torch.equal(batch.images, expected)


def test_epoch_batches__hold_every_picture_once_in_a_new_order() -> None:
    batches = EpochBatches(23, batch=4, seed=0)
    first = [place for batch in batches for _, place in batch]
    batches.epoch = 2
    second = [place for batch in batches for _, place in batch]
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second
    assert len(batches) == 6


def test_epoch_batches__are_shared_out_evenly_over_devices() -> None:
    ranks = [list(EpochBatches(23, batch=4, seed=0, rank=r, devices=2)) for r in range(2)]
    assert [len(b) for b in ranks[0]] == [len(b) for b in ranks[1]]
    seen = {place for rank in ranks for batch in rank for _, place in batch}
    assert seen == set(range(23))


def test_augmented_boxes__stay_inside_and_follow_the_picture() -> None:
    """A white square on black: after any change the box is where the white is."""
    image = np.zeros((96, 96, 3), np.uint8)
    image[30:60, 20:70] = 255
    augmenter = Augmenter([{"Affine": {"scale": [0.6, 1.4], "translate_percent": [-0.2, 0.2], "p": 1.0}}])
    checked = 0
    for seed in range(30):
        out, xyxy, labels = augmenter(image, np.array([[20.0, 30.0, 70.0, 60.0]]), np.array([7]), seed=seed)
        assert ((xyxy >= 0) & (xyxy <= 96)).all()
        if len(xyxy):
            ys, xs = np.nonzero(out[..., 0] > 127)
            white = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            assert np.abs(xyxy[0] - white).max() <= 2
            assert labels.tolist() == [7]
            checked += 1
    assert checked > 20


def test_ignored_region__is_painted_over_but_no_target_is(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "a.png"
    Image.fromarray(np.full((96, 96, 3), 200, np.uint8)).save(path)
    sample = Sample(path, np.array([[10.0, 10, 40, 40]]), np.array([0]), np.array([[30.0, 30, 80, 80]]))
    image, target, _ = TrainSet([sample], imgsz=96, augmenter=Augmenter("none"), seed=0, cache_mb=0)[(1, 0)]
    assert (image[45:79, 45:79] == 114).all()
    assert (image[10:40, 10:40] == 200).all()
    assert target.xyxy.tolist() == [[10, 10, 40, 40]]
    assert (read_rgb(path) == 200).all()


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ([{"HorizontalFlop": {}}], r"AUGMENT_UNKNOWN augment\.0=HorizontalFlop.*did you mean 'HorizontalFlip'"),
        ([{"HorizontalFlip": {"p": "often"}}], r"AUGMENT_OPTION augment\.0\.HorizontalFlip"),
    ],
)
def test_wrong_augmentation__is_told(augment: list, message: str) -> None:
    chosen = RunConfig.model_validate({"data": {"synthetic": {}}, "augment": augment}).augment
    with pytest.raises(InputError, match=message):
        Augmenter(chosen)
