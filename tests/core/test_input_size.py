"""The size that images are scaled into: one side, or height and width."""

import pytest

from detect_transfer.config import RunConfig, dump_config, make_config
from detect_transfer.core.errors import DetectTransferError, InputError
from detect_transfer.core.input_size import InputSize


@pytest.mark.parametrize("value", ["416x704", "416 X 704", [416, 704], (416, 704), InputSize(416, 704)])
def test_two_sides__are_height_and_width(value) -> None:
    size = InputSize.of(value, least=32, multiple=32)
    assert (size.height, size.width, size.longer, size.sides, size.plain) == (416, 704, 704, (416, 704), "416x704")


@pytest.mark.parametrize("value", [640, "640", 640.0, "640x640", [640, 640]])
def test_one_side__is_a_square(value) -> None:
    size = InputSize.of(value, least=32, multiple=32)
    assert (size.hw, size.sides, size.plain, str(size)) == ((640, 640), 640, 640, "640")


@pytest.mark.parametrize(
    "value", ["", "x", "416x", "416*704", "9" * 5000, [416], [1, 2, 3], [416, "x"], True, None, 1.5, 100, 8224, -32, {}]
)
def test_what_is_no_size__is_refused_with_what_is_expected(value) -> None:
    with pytest.raises(ValueError, match=r"whole number in \[32, 8192\], a multiple of 32, or height and width"):
        InputSize.of(value, least=32, multiple=32)


def test_option__names_itself() -> None:
    with pytest.raises(InputError, match=r"^OPTION --imgsz=704,416 .*give --imgsz 640, or height and width as"):
        InputSize.of_option("704,416")


@pytest.mark.parametrize(("given", "stored"), [("640", 640), ("[416, 704]", "416x704"), ("416x704", "416x704")])
def test_config__stores_what_it_was_given(given: str, stored: object) -> None:
    config = make_config({"data": {"synthetic": {}}}, [f"train.imgsz={given}"])
    assert config.model_dump(mode="json")["train"]["imgsz"] == stored
    assert f"imgsz: {stored}\n" in dump_config(config)
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


def test_config__says_what_a_size_may_be() -> None:
    with pytest.raises(DetectTransferError, match=r"CONFIG_VALUE .*train\.imgsz.* a multiple of 32, or height and"):
        make_config({"data": {"synthetic": {}}}, ["train.imgsz=416x700"])
