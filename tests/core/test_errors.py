"""The one line that tells an error."""

import pickle

import pytest

from detect_transfer.core.errors import (
    DetectTransferError,
    InputError,
    ProblemsError,
    ResourceError,
    did_you_mean,
    raise_problems,
)


def test_line__has_code_place_field_value_what_and_remedy() -> None:
    error = InputError("LABEL_CLASS", "0..9 was expected", where="a.txt:3", field="class", value=14, remedy="fix it")
    assert str(error) == "LABEL_CLASS a.txt:3 class=14 - 0..9 was expected; fix it"
    assert error.as_dict()["value"] == "14"
    assert error.exit_code == 2


@pytest.mark.parametrize("hostile", ["a\nb", "a\x1b[31mb", "\u202eabc", "x" * 10_000, "a\0b"])
def test_hostile_values__stay_on_one_short_line(hostile: str) -> None:
    text = str(InputError("X", "what", where=hostile, field="f", value=hostile, remedy="r"))
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    assert len(text) < 700


def test_problems__none_one_and_several() -> None:
    one, two = (InputError(code, "what", remedy="r") for code in ("ONE", "TWO"))
    raise_problems([])
    with pytest.raises(InputError, match=r"^ONE - what; r$"):
        raise_problems([one])
    with pytest.raises(ProblemsError) as caught:
        raise_problems([one, two])
    assert str(caught.value).splitlines() == ["ONE - what; r", "TWO - what; r"]


def test_did_you_mean__or_what_there_is() -> None:
    assert did_you_mean("epoch", ["epochs", "batch"]) == "did you mean 'epochs'?"
    assert did_you_mean("zzz", ["b", "a"]) == "there is: a, b"
    assert did_you_mean("zzz", []) == "there is none"
    assert did_you_mean("zzz", [f"{i:03d}" for i in range(100)]).endswith("058, 059, and 40 more")


@pytest.mark.parametrize(
    "error",
    [
        InputError("CODE", "what", remedy="do"),
        ResourceError("CODE", "what", remedy="do", where="a.txt:3", field="x", value=None),
        ProblemsError([InputError("A", "what", remedy="do"), InputError("B", "what", remedy="do", value=1)]),
    ],
)
def test_error__is_the_same_in_another_process(error: DetectTransferError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.args) == (type(error), str(error), error.args)
    assert copy.as_dict() == error.as_dict()
