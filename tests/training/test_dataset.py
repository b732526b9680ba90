"""Training images: the same whatever loads them, every image once an epoch, ignored regions out of sight."""

import os
import pickle
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from deadly import Deadly
from PIL import Image

from detect_transfer.config import RunConfig
from detect_transfer.core import images
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.images import read_rgb
from detect_transfer.core.input_size import InputSize
from detect_transfer.data.image_paths import ImagePaths
from detect_transfer.formats import READERS
from detect_transfer.training.array_store import LocalProcesses
from detect_transfer.training.augment import Augmenter
from detect_transfer.training.dataset import ImageOptions, TrainSet, choose_workers, make_loader
from detect_transfer.training.faults import loading_errors
from detect_transfer.training.image_store import ImageStore
from detect_transfer.training.sampler import EpochBatches, Share
from detect_transfer.training.samples import SampleRef, TrainSamples, class_weights, repeat_factors
from detect_transfer.training.shapes import ShapeGroups
from detect_transfer.training.train_sample import TrainSample, clip_sample


def make_set(
    tiny_data: Path, *, cached: bool, augment="default", seed: int = 0, share_of_mosaics: float = 0.0
) -> TrainSet:
    table = READERS["data_folder"].read(tiny_data).split_of("train")
    rows = table.images.select("image_id", "file_name").iter_rows()
    paths = {i: tiny_data / "images" / name for i, name in rows}
    samples = TrainSamples(table, paths)
    options = ImageOptions(96, Augmenter(augment, imgsz=96, mosaic=share_of_mosaics), seed)
    return TrainSet(samples, options, store_of(len(samples)) if cached else None)


SCRATCH = tempfile.TemporaryDirectory()  # of stores that spawned processes open


def store_of(
    count: int, *, cache="memory", folder: Path | None = None, local: LocalProcesses | None = None
) -> ImageStore:
    folder = folder or Path(tempfile.mkdtemp(dir=SCRATCH.name))
    groups = ShapeGroups.one(count, InputSize(96, 96))
    local = local or LocalProcesses()
    store = ImageStore.open(groups, cache=cache, memory_bytes=1 << 30, folder=folder, local=local)
    assert store is not None
    return store


@pytest.mark.parametrize("share_of_mosaics", [0.0, 1.0])
def test_a_image__depends_on_seed_epoch_and_place_alone(tiny_data: Path, share_of_mosaics: float) -> None:
    cached = make_set(tiny_data, cached=True, share_of_mosaics=share_of_mosaics)
    read_again = make_set(tiny_data, cached=False, share_of_mosaics=share_of_mosaics)
    for key in [(1, 3, True), (2, 3, True), (1, 0, True)]:
        first, second = cached[key][0], read_again[key][0]
        assert np.array_equal(first.pixels, second.pixels)
        assert np.array_equal(first.xyxy, second.xyxy)
    assert not np.array_equal(cached[(1, 3, True)][0].pixels, cached[(2, 3, True)][0].pixels)
    other_seed = make_set(tiny_data, cached=False, seed=1, share_of_mosaics=share_of_mosaics)
    assert not np.array_equal(cached[(1, 3, True)][0].pixels, other_seed[(1, 3, True)][0].pixels)


@pytest.mark.parametrize("size_wh", [(400, 300), (300, 401), (401, 203)])
def test_images_decoded_at_a_smaller_scale__are_those_of_the_full_size(
    tmp_path: Path, size_wh: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = np.meshgrid(np.linspace(0, 6, size_wh[0]), np.linspace(0, 6, size_wh[1]))
    waves = np.stack([np.sin(x + k) * np.cos(y) for k in range(3)], axis=2)
    Image.fromarray((127 + 120 * waves).astype(np.uint8)).save(tmp_path / "a.jpg", quality=90)
    box = np.array([[10.0, 20.0, 200.0, 150.0]])
    sample = SampleRef(tmp_path / "a.jpg", box, np.zeros(1, np.int64), np.empty((0, 4)))
    sizes, decode = [], images.decode_jpeg

    def decoded(data: bytes, **options):
        pixels = decode(data, **options)
        sizes.append(pixels.shape)
        return pixels

    monkeypatch.setattr(images, "decode_jpeg", decoded)
    full, scaled = (
        TrainSet([sample], ImageOptions(96, Augmenter("none", imgsz=96), 0, decode=way))[1, 0][0]
        for way in ("full", "scaled")
    )
    assert 96 <= max(sizes[1]) < max(sizes[0]) / 2
    assert np.array_equal(full.xyxy, scaled.xyxy)
    apart = np.abs(full.pixels.astype(int) - scaled.pixels)
    assert (apart.mean() < 1, apart.max() <= 12) == (True, True), (apart.mean(), apart.max())


@pytest.mark.parametrize("workers", [0, 1])
def test_loader__tells_a_broken_image_as_itself(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"")
    sample = SampleRef(path, np.empty((0, 4)), np.empty(0, np.int64), np.empty((0, 4)))
    data = TrainSet([sample], ImageOptions(96, Augmenter("none", imgsz=96), 0))
    with pytest.raises(InputError, match=r"^IMAGE_EMPTY .*broken\.png - the file has no bytes; copy"):
        list(make_loader(data, [[(1, 0)]], workers=workers, pin=False))


def test_loader__tells_that_a_loading_process_died() -> None:
    data = Deadly([], ImageOptions(96, Augmenter("none", imgsz=96), 0))
    with (
        pytest.raises(ResourceError, match=r"WORKER_DIED train\.workers - .*process died.*train\.workers=0"),
        loading_errors(Path("run")),
    ):
        list(make_loader(data, [[(1, 0)]], workers=1, pin=False))


@pytest.mark.parametrize("workers", [0, 2])
def test_loader__gives_the_same_batches_with_any_number_of_workers(tiny_data: Path, workers: int) -> None:
    data = make_set(tiny_data, cached=True)
    batches = EpochBatches(np.ones(len(data)), batch=6, seed=0)
    loaded = list(make_loader(data, batches, workers=workers, pin=False))
    indices = list(batches)
    assert [len(b.targets) for b in loaded] == [6, 6, 6, 2]
    for batch, keys in zip(loaded, indices, strict=True):
        expected = torch.from_numpy(np.stack([data[key][0].pixels for key in keys])).permute(0, 3, 1, 2)
        assert torch.equal(batch.images, expected)


def test_loading_processes__share_the_cores_that_the_processes_of_a_machine_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    chosen = [choose_workers("auto", cuda, LocalProcesses(count=count)) for count in (1, 4, 16)]
    assert chosen == [8, 3, 0]
    assert [choose_workers("auto", cpu, LocalProcesses()), choose_workers(5, cuda, LocalProcesses(count=4))] == [0, 5]


def test_epoch_batches__hold_every_image_once_in_a_new_order() -> None:
    batches = EpochBatches(np.ones(23), batch=4, seed=0)
    first = [index for batch in batches for _, index, _ in batch]
    batches.epoch = 2
    second = [index for batch in batches for _, index, _ in batch]
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second
    assert len(batches) == 6


def test_epoch_batches__are_shared_out_evenly_over_devices() -> None:
    ranks = [list(EpochBatches(np.ones(23), batch=4, seed=0, share=Share(r, 2))) for r in range(2)]
    assert [len(b) for b in ranks[0]] == [len(b) for b in ranks[1]]
    seen = {index for rank in ranks for batch in rank for _, index, _ in batch}
    assert seen == set(range(23))


def test_epoch_batches__can_begin_inside_an_epoch() -> None:
    batches = EpochBatches(np.ones(23), batch=4, seed=0)
    whole = list(batches)
    batches.start = 2
    assert list(batches) == whole[2:]


def test_epoch_batches__repeat_images_by_their_factors_in_epochs_of_one_length() -> None:
    factors = np.array([1.0, 1.0, 2.5, 1.0])
    batches = EpochBatches(factors, batch=2, seed=0)
    counts = np.zeros(4)
    for epoch in range(1, 201):
        batches.epoch = epoch
        indices = [index for batch in batches for _, index, _ in batch]
        assert len(indices) == 6
        counts += np.bincount(indices, minlength=4)
    assert counts[2] / 200 == pytest.approx(2.5, abs=0.2)
    assert len(batches) == 3


def make_sample(size: int, xyxy: list, ignored: list | None = None) -> TrainSample:
    boxes, regions = (np.array(b, dtype=np.float64).reshape(-1, 4) for b in (xyxy, ignored or []))
    return TrainSample(np.zeros((size, size, 3), np.uint8), boxes, np.arange(len(boxes)), regions)


def test_augmented_boxes__stay_inside_and_follow_the_image() -> None:
    """A white square on black: after any change the box is where the white is."""
    plain = make_sample(96, [[20, 30, 70, 60]])
    plain.pixels[30:60, 20:70] = 255
    augmenter = Augmenter([{"Affine": {"scale": [0.6, 1.4], "translate_percent": [-0.2, 0.2], "p": 1.0}}], imgsz=96)
    checked = 0
    for seed in range(30):
        out = augmenter(plain, seed=seed)
        assert ((out.xyxy >= 0) & (out.xyxy <= 96)).all()
        if len(out.xyxy):
            ys, xs = np.nonzero(out.pixels[..., 0] > 127)
            white = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            assert np.abs(out.xyxy[0] - white).max() <= 2
            assert out.labels.tolist() == [0]
            checked += 1
    assert checked > 20


def test_ignored_regions__follow_the_image_as_boxes_do() -> None:
    box = [20, 30, 70, 60]
    augmenter = Augmenter("default", imgsz=96)
    for seed in range(20):
        as_target, as_region = (augmenter(make_sample(96, *given), seed=seed) for given in ([[box]], [[], [box]]))
        assert np.allclose(np.concatenate([as_target.xyxy, as_target.ignored]), as_region.ignored)


def test_a_target_of_which_little_is_left__is_ignored() -> None:
    """A shift by 45 of the box's 50 pixels leaves a tenth of it; one more, and it is too little to learn from."""
    shifted = make_sample(96, [[91, 10, 141, 60], [92, 10, 142, 60]], [[200, 200, 220, 220]])
    out = clip_sample(shifted, shifted.xyxy)
    assert out.xyxy.tolist() == [[91, 10, 96, 60]]
    assert out.labels.tolist() == [0]
    assert out.ignored.tolist() == [[92, 10, 96, 60]]


def test_augmenter__makes_ignored_what_it_pushes_out_of_the_image() -> None:
    augmenter = Augmenter(
        [{"Affine": {"translate_px": {"x": [-47, -47], "y": [0, 0]}, "scale": [1, 1], "p": 1.0}}], imgsz=96
    )
    out = augmenter(make_sample(96, [[0, 0, 50, 50]]), seed=0)
    assert len(out.xyxy) == 0
    assert np.abs(out.ignored - [[0, 0, 3, 50]]).max() < 0.1


def test_ignored_region__goes_with_the_image_which_is_left_as_it_is(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "a.png"
    Image.fromarray(np.full((96, 96, 3), 200, np.uint8)).save(path)
    sample = SampleRef(path, np.array([[10.0, 10, 40, 40]]), np.array([0]), np.array([[30.0, 30, 80, 80]]))
    sample, _, _ = TrainSet([sample], ImageOptions(192, Augmenter("none", imgsz=192), 0))[(1, 0)]
    assert (sample.pixels == 200).all()
    assert sample.xyxy.tolist() == [[20, 20, 80, 80]]
    assert sample.ignored.tolist() == [[60, 60, 160, 160]]
    assert (read_rgb(path) == 200).all()


def test_balance__repeats_rare_images_and_weighs_rare_classes() -> None:
    """Class 1 is in 1 of 40 images: its factor is sqrt(0.1 / 0.025) = 2."""
    common, rare, empty = (np.array(labels, dtype=np.int64) for labels in ([0], [0, 1], []))
    samples = [SampleRef(Path(), np.zeros((len(x), 4)), x, np.zeros((0, 4))) for x in [rare, empty, *[common] * 38]]
    factors = repeat_factors(samples)
    assert factors[0] == pytest.approx(2.0)
    assert factors[1:].tolist() == [1.0] * 39
    weights = class_weights(samples, 2)
    assert weights[1] / weights[0] == pytest.approx(np.sqrt(39))
    assert weights.mean() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ([{"HorizontalFlop": {}}], r"AUGMENT_UNKNOWN augment\.0=HorizontalFlop.*did you mean 'HorizontalFlip'"),
        ([{"HorizontalFlip": {"p": "often"}}], r"AUGMENT_OPTION augment\.0\.HorizontalFlip"),
        ([{"HorizontalFlip": {"prob": 0.5}}], r"AUGMENT_OPTION augment\.0\.HorizontalFlip.*'prob' are not valid"),
        ([{"Resize": {"height": 32, "width": 32, "p": 0.1}}], r"AUGMENT_OPTION .*into uint8 32 x 32 x 3"),
        ([{"RandomCrop": {"height": 128, "width": 128}}], r"AUGMENT_OPTION .*exceeds"),
        ([{"Normalize": {}}], r"AUGMENT_OPTION .*into float32 64 x 64 x 3"),
        ([{"OverlayElements": {}}], r"AUGMENT_UNKNOWN .*for images with boxes"),
        ([{"Pad3D": {"padding": 1}}], r"AUGMENT_UNKNOWN .*for images with boxes"),
    ],
)
def test_wrong_augmentation__is_reported(augment: list, message: str) -> None:
    chosen = RunConfig.model_validate({"data": {"synthetic": {}}, "augment": augment}).augment
    with pytest.raises(InputError, match=message):
        Augmenter(chosen, imgsz=64)


def test_augmentation_that_moves_no_pixel__leaves_the_boxes() -> None:
    plain = make_sample(64, [[8, 8, 24, 24]])
    sample = Augmenter([{"InvertImg": {"p": 1.0}}], imgsz=64)(plain, seed=0)
    assert np.array_equal(sample.pixels, 255 - plain.pixels)
    assert np.array_equal(sample.xyxy, plain.xyxy)


def test_two_processes_of_a_machine__read_every_image_once_and_share_it(tiny_data: Path, tmp_path: Path) -> None:
    alone = make_set(tiny_data, cached=True, augment="none")
    barrier, reads = Barrier(2), []

    class Counting(TrainSet):
        def _read(self, index: int):
            reads.append(index)
            return super()._read(index)

    def train_set(rank: int) -> TrainSet:
        local = LocalProcesses(rank, 2, wait=barrier.wait)
        store = store_of(len(alone), cache="auto", folder=tmp_path, local=local)
        return Counting(alone._refs, alone._options, store, local)

    with ThreadPoolExecutor(2) as processes:
        first, second = processes.map(train_set, range(2))
    assert sorted(reads) == list(range(len(alone)))
    for index in range(len(alone)):
        expected = alone[1, index][0]
        for sample in (first[1, index][0], second[1, index][0]):
            assert np.array_equal(sample.pixels, expected.pixels)
            assert np.array_equal(sample.xyxy, expected.xyxy)
    assert len(list(tmp_path.iterdir())) == 2, "one file of images, one of their sizes"


def test_a_store_in_a_file__is_opened_by_spawned_processes_and_not_copied(tiny_data: Path, tmp_path: Path) -> None:
    there = make_set(tiny_data, cached=True, augment="none")
    data = TrainSet(there._refs, there._options, store_of(len(there), cache="disk", folder=tmp_path))
    pickled = pickle.dumps(data)
    assert len(pickled) < data._store.pixels.nbytes / 10
    again = pickle.loads(pickled)
    assert np.array_equal(again[1, 3][0].pixels, there[1, 3][0].pixels)


def test_samples__take_few_bytes_an_image(tmp_path: Path) -> None:
    count = 20_000
    names = [f"{i:06}.jpg" for i in range(count)]
    table = AnnotationTable.from_columns(
        images={"image_id": range(count), "file_name": names, "width": [640] * count, "height": [480] * count},
        boxes={
            "annotation_id": range(2 * count),
            "image_id": [*range(count)] * 2,
            "category_id": [1] * 2 * count,
            **{name: [float(i)] * 2 * count for i, name in enumerate(("x1", "y1", "x2", "y2"))},
        },
        categories={"category_id": [1], "name": ["sign"]},
    )
    tracemalloc.start()
    samples = TrainSamples(table, ImagePaths(tmp_path, table.images))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / count < 250
    assert np.array_equal(samples[count - 1].xyxy, [[0, 1, 2, 3]] * 2)
