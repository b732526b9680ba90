"""F56: a loading process that is killed, which torch tells wherever the training process is just then;
and one of several processes that train."""

from pathlib import Path

import pytest

from detect_transfer.core.errors import ResourceError
from detect_transfer.training.faults import loading_errors, process_errors

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


@pytest.mark.parametrize(
    "words",
    [
        "[/w/third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:15029.",
        "[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE)",
        "failed to recv, got 0 bytes: Connection reset by peer. The TCPStore server may have shut down too early.",
    ],
)
def test_killed_process__of_several_that_train_is_told_by_the_others(words: str, tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as caught, process_errors(tmp_path / "my run"):
        raise RuntimeError(f"{words}\nGLHF")
    assert str(caught.value).startswith("PROCESS_DIED - another process of this training ended (")
    assert "\n" not in str(caught.value)
    assert f"torchrun --nproc-per-node 2 -m detect_transfer train --resume '{tmp_path}/my run'" in caught.value.remedy
    with pytest.raises(RuntimeError, match="shapes"), process_errors(tmp_path):
        raise RuntimeError("shapes do not fit")
