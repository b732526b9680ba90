"""Images of more than 8 bits: which values become black and white, with a window and without."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detect_transfer.config import make_config
from detect_transfer.core.errors import InputError
from detect_transfer.core.image_sources import ImageSources
from detect_transfer.core.images import read_rgb
from detect_transfer.core.intake import Intake


def save(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values).save(path)
    return path


def test_float__in_0_to_1_is_not_black(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10))
    rgb = read_rgb(path)
    assert (rgb.min(), rgb.max(), rgb[5, 0, 0]) == (0, 255, 129)
    path = save(tmp_path / "b.tif", np.array([[0.0, 100.0, 300.0]], np.float32))
    assert read_rgb(path)[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize(
    ("intake", "expected"),
    [
        (None, [3, 7, 15, 255]),
        (Intake("fixed", 0, 4095), [62, 125, 249, 255]),
        (Intake("fixed", 1000, 4000), [0, 85, 255, 255]),
        (Intake("percentile", 0, 100), [0, 4, 12, 255]),
        (Intake("per_camera", 0, 100, r"(cam\d)_", {"": (0, 65535), "cam1": (1000, 4000)}), [0, 85, 255, 255]),
        (Intake("per_camera", 0, 100, r"(cam\d)_", {"": (0, 4095), "cam2": (1000, 4000)}), [62, 125, 249, 255]),
    ],
)
def test_window__says_what_is_black_and_white(tmp_path: Path, intake: Intake | None, expected: list[int]) -> None:
    path = save(tmp_path / "cam1_a.png", np.array([[1000, 2000, 4000, 65535]], np.uint16))
    assert read_rgb(path, intake=intake)[0, :, 0].tolist() == expected
    if intake is not None:
        assert Intake.from_json(intake.as_json(), "x") == intake


def test_window__leaves_images_of_8_bits_as_they_are(tmp_path: Path) -> None:
    values = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    path = save(tmp_path / "a.png", values)
    np.testing.assert_array_equal(read_rgb(path, intake=Intake("fixed", 0, 10)), values)


def test_cameras__have_the_percentiles_of_their_own_images() -> None:
    intake = Intake("per_camera", 0, 100, r"(cam\d)")
    resolved = intake.with_windows(
        [
            ("x/cam1.png", np.array([[10, 20]])),
            ("y/cam2.png", np.array([[500, 900]])),
            ("cam1b.png", np.array([[5, 7]])),
        ]
    )
    assert resolved.windows == {"": (5, 900), "cam1": (5, 20), "cam2": (500, 900)}


@pytest.mark.parametrize("text", ["{", "[]", '{"window": "fixed"}', '{"window":"odd","low":0,"high":1,"windows":{}}'])
def test_damaged_text__is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match="WEIGHTS_CARD x - intake in its header"):
        Intake.from_json(text, "x")


@pytest.mark.parametrize(
    ("intake", "message"),
    [
        ({"window": "fixed", "low": 9, "high": 3}, "low .9. must be below high .3."),
        ({"high": 120}, "percentiles are in .0, 100."),
        ({"window": "per_camera", "camera": "("}, "camera is no regular expression"),
        ({"bits": 40}, "data.intake.bits"),
        ({"window": "wide"}, "data.intake.window"),
    ],
)
def test_config__out_of_range_is_refused(intake: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_config({"data": {"path": "x", "intake": intake}})


def test_config__has_the_bounds_of_its_window() -> None:
    def bounds(**intake: object) -> tuple[float, float]:
        chosen = make_config({"data": {"path": "x", "intake": intake}}).data.intake
        assert chosen is not None
        return chosen.bounds

    assert bounds() == (0.5, 99.5)
    assert bounds(window="fixed") == (0, 65535)
    assert bounds(window="fixed", bits=12) == (0, 4095)
    assert bounds(window="fixed", low=29000, high=31000) == (29000, 31000)


def test_image_at_an_address__is_read_by_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.linspace(7000, 7400, 64).reshape(8, 8).astype(np.uint16)).save(stream, "PNG")
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(stream.getvalue()))
    address = ("https://example.org/a.png",)
    (image,) = ImageSources(address, allow_network=True, intake=Intake("fixed", 7000, 7400))
    assert (image.read().min(), image.read().max()) == (0, 255)
