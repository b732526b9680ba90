"""Images that look alike: what their hashes stand, and that the search finds every planted pair and no other."""

import io

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image

from detect_transfer.data.near_duplicates import MOST_BITS, NEAR_BITS, find_lookalikes, image_hash, near_pairs


def scene(seed):
    """An image (H, W, 3) of soft colours with a few shapes, which no other seed gives."""
    rng = np.random.default_rng(seed)
    rgb = cv2.resize(rng.integers(0, 255, (5, 7, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    for x, y in rng.integers(0, 200, (4, 2)):
        cv2.rectangle(rgb, (int(x), int(y)), (int(x) + 40, int(y) + 30), rng.integers(0, 255, 3).tolist(), -1)
    return rgb


def as_jpeg(rgb):
    data = io.BytesIO()
    Image.fromarray(rgb).save(data, "JPEG", quality=40)
    return np.array(Image.open(data))


CHANGED = [
    pytest.param(as_jpeg, id="compressed"),
    pytest.param(lambda rgb: cv2.resize(rgb, (150, 90)), id="smaller"),
    pytest.param(lambda rgb: cv2.resize(rgb, None, fx=2, fy=2), id="larger"),
    pytest.param(lambda rgb: np.clip(rgb * 1.1 + 6, 0, 255).astype(np.uint8), id="brighter"),
    pytest.param(lambda rgb: cv2.GaussianBlur(rgb, (5, 5), 0), id="blurred"),
]


def bits(a, b):
    return bin(a ^ b).count("1")


@pytest.mark.parametrize("change", CHANGED)
def test_hash__stands_small_changes(change):
    apart = [bits(image_hash(scene(i)), image_hash(change(scene(i)))) for i in range(40)]
    assert np.mean(np.array(apart) <= NEAR_BITS) > 0.9


def test_hash__tells_images_apart():
    hashes = [image_hash(scene(i)) for i in range(60)]
    apart = [bits(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > MOST_BITS
    assert 28 < np.mean(apart) < 36


@pytest.mark.parametrize("level", [0, 7, 255])
def test_hash__there_is_none_of_a_plain_colour(level):
    noise = np.random.default_rng(0).integers(0, 2, (60, 80, 3))
    assert image_hash(np.clip(level + noise, 0, 255).astype(np.uint8)) is None


def random_hashes(rng, n):
    return rng.integers(0, 2**64, n, dtype=np.uint64, endpoint=False)


@pytest.mark.parametrize("most", [0, 1, NEAR_BITS, MOST_BITS])
def test_search__equals_comparing_all_with_all(most):
    rng = np.random.default_rng(most)
    base = random_hashes(rng, 30)
    flips = np.array(
        [sum(1 << int(b) for b in rng.choice(64, int(k), replace=False)) for k in rng.integers(0, 10, 600)]
    )
    hashes = np.unique(base[rng.integers(0, 30, 600)] ^ flips.astype(np.uint64))
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    expected = np.argwhere(np.triu(apart <= most, 1))
    first, second, found = near_pairs(hashes, most_bits=most)
    assert np.stack([first, second], 1).tolist() == expected.tolist()
    assert found.tolist() == apart[first, second].tolist()


def test_search__finds_planted_pairs_among_many():
    rng = np.random.default_rng(1)
    hashes = random_hashes(rng, 20_000)
    places = rng.choice(20_000, 200, replace=False).reshape(2, 100)
    for one, other in places.T:
        mask = sum(1 << int(b) for b in rng.choice(64, 1 + int(one) % MOST_BITS, replace=False))
        hashes[other] = hashes[one] ^ np.uint64(mask)
    first, second, _ = near_pairs(hashes, most_bits=MOST_BITS)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == {tuple(sorted(p)) for p in places.T.tolist()}


def test_search__nothing_to_search():
    assert [len(part) for part in near_pairs(np.array([], np.uint64))] == [0, 0, 0]
    assert [len(part) for part in near_pairs(np.array([5], np.uint64))] == [0, 0, 0]


def found(rows):
    """Rows are (split, group, sha256, visual_hash)."""
    frame = pl.DataFrame(
        [(i, *row) for i, row in enumerate(rows, start=1)],
        schema={
            "image_id": pl.Int64,
            "split": pl.String,
            "group": pl.String,
            "sha256": pl.String,
            "visual_hash": pl.UInt64,
        },
        orient="row",
    )
    return find_lookalikes(frame).rows()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([("train", None, "a", 1), ("val", None, "b", 1)], [(1, 2, 0, True)], id="same-hash-two-splits"),
        pytest.param([("train", None, "a", 1), ("train", None, "b", 3)], [(1, 2, 1, False)], id="one-bit-one-split"),
        pytest.param([("train", None, "a", 1), ("val", None, "a", 1)], [], id="same-file-is-reported-elsewhere"),
        pytest.param([("train", "g", "a", 1), ("train", "g", "b", 1)], [], id="one-group"),
        pytest.param([("train", "g", "a", 1), ("val", "g", "b", 1)], [(1, 2, 0, True)], id="a-group-that-was-cut"),
        pytest.param([(None, None, "a", 1), (None, None, "b", 1)], [(1, 2, 0, False)], id="no-splits"),
        pytest.param([("train", None, "a", None), ("val", None, "b", None)], [], id="plain-colours"),
        pytest.param([("train", None, "a", 0), ("val", None, "b", 31)], [], id="five-bits-are-too-many"),
        pytest.param(
            [("train", None, "a", 1), ("train", None, "b", 1), ("train", None, "c", 1), ("val", None, "d", 1)],
            [(1, 2, 0, False), (1, 3, 0, False), (1, 4, 0, True), (2, 4, 0, True), (3, 4, 0, True)],
            id="each-with-the-first-of-each-split",
        ),
    ],
)
def test_lookalikes(rows, expected):
    assert found(rows) == expected
