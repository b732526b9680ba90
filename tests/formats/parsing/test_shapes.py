from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from detect_transfer.formats.parsing.shapes import ellipse_extent, extent, mask_extent, turned_extent


def png(mode: str, size: tuple[int, int], colour: Any, box: tuple[int, int, int, int] | None, inside: Any) -> bytes:
    image = Image.new(mode, size, colour)
    if box is not None:
        image.paste(inside, box)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_extent__of_points_in_any_order() -> None:
    assert extent([(3, 9), (-1, 4), (2, 2)]) == (-1, 2, 3, 9)
    assert extent([(3, 9)]) == (3, 9, 3, 9)


@pytest.mark.parametrize(
    ("degrees", "about", "expected"),
    [
        pytest.param(0, "centre", (10, 10, 20, 14), id="not-turned"),
        pytest.param(90, "centre", (13, 7, 17, 17), id="quarter"),
        pytest.param(-90, "centre", (13, 7, 17, 17), id="quarter-back"),
        pytest.param(180, "corner", (0, 6, 10, 10), id="half-about-corner"),
        pytest.param(90, "corner", (6, 10, 10, 20), id="clockwise-about-corner"),
        pytest.param(360, "corner", (10, 10, 20, 14), id="whole"),
    ],
)
def test_turned_extent__is_clockwise(degrees: float, about: Any, expected: tuple[float, ...]) -> None:
    assert turned_extent((10, 10, 20, 14), degrees, about=about) == pytest.approx(expected)


def test_turned_extent__of_a_square_by_an_eighth() -> None:
    half = 2**0.5
    assert turned_extent((-1, -1, 1, 1), 45) == pytest.approx((-half, -half, half, half))


def test_ellipse_extent__upright_turned_and_of_a_circle() -> None:
    assert ellipse_extent((10, 20), (4, 2)) == pytest.approx((6, 18, 14, 22))
    assert ellipse_extent((10, 20), (4, 2), 90) == pytest.approx((8, 16, 12, 24))
    assert ellipse_extent((0, 0), (5, 5), 33) == pytest.approx((-5, -5, 5, 5))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png("L", (6, 5), 0, (1, 2, 4, 5), 255), id="grey"),
        pytest.param(png("1", (6, 5), 0, (1, 2, 4, 5), 1), id="one-bit"),
        pytest.param(png("RGBA", (6, 5), (9, 9, 9, 0), (1, 2, 4, 5), (0, 0, 0, 255)), id="alpha"),
        pytest.param(png("LA", (6, 5), (9, 0), (1, 2, 4, 5), (0, 1)), id="grey-alpha"),
    ],
)
def test_mask_extent__of_pixels_that_are_set(data: bytes) -> None:
    assert mask_extent(data, (10, 20), "here") == (11, 22, 14, 25)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"", "MASK_BROKEN", id="nothing"),
        pytest.param(b"GIF89a", "MASK_BROKEN", id="other-kind"),
        pytest.param(png("L", (60, 50), 255, None, 0)[:-30], "MASK_BROKEN", id="cut"),
        pytest.param(png("L", (6, 5), 0, None, 0), "MASK_EMPTY", id="empty"),
    ],
)
def test_mask_extent__fault(data: bytes, code: str, check_error: Any) -> None:
    check_error(lambda: mask_extent(data, (0, 0), "a.json#/mask"), code, "a.json#/mask")
