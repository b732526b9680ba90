"""F56: a loading process that is killed, which torch tells wherever the training process is just then."""

from pathlib import Path

import pytest

from detect_transfer.core.errors import ResourceError
from detect_transfer.training.faults import loading_errors

KILLED = "DataLoader worker (pid 7) is killed by signal: Killed. "


def _be_killed(by: str) -> None:
    try:
        raise RuntimeError(KILLED)
    except RuntimeError as error:
        if by == "itself":
            raise
        raise SystemError("a function returned a result with an exception set") from error


@pytest.mark.parametrize("by", ["itself", "another"])
def test_killed_worker__is_an_error_of_the_machine_with_a_remedy(by: str, tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as caught, loading_errors(tmp_path / "my run"):
        _be_killed(by)
    assert caught.value.exit_code == 3
    assert f"--resume '{tmp_path}/my run' train.workers=0" in caught.value.remedy


def test_other_errors__stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"), loading_errors(tmp_path):
        raise RuntimeError("shapes do not fit")
