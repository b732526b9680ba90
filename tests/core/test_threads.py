"""Threads: the share of each of several processes, and how they wait."""

import os

import pytest

from detect_transfer.core.threads import cores, shared_threads, wait_passively


def test_share__is_at_least_one_core_and_keeps_the_rest_of_the_environment() -> None:
    assert shared_threads(10 * cores(), {"A": "b"}) == {
        "A": "b",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "KMP_BLOCKTIME": "0",
    }
    assert shared_threads(1)["OMP_NUM_THREADS"] == str(cores())


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity mask")
def test_cores__are_those_of_the_affinity_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5})
    assert cores() == 3


def test_waiting__is_passive_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("KMP_BLOCKTIME", "1")  # so that both are put back
    monkeypatch.delenv("KMP_BLOCKTIME")
    wait_passively()
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["KMP_BLOCKTIME"]) == ("ACTIVE", "0")
