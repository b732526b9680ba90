"""Threads that leave the cores to others: how many a process may use, and how they wait."""

from __future__ import annotations

import os
from collections.abc import Mapping

from detect_transfer.core.quiet_imports import import_cuda_libraries


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_passively() -> None:
    """Let OpenMP threads sleep where they have nothing to do; it counts only before torch is loaded.

    By default they wait in a loop, and two trainings beside each other take the cores from each other. What the
    environment says already stays. What torch imports then starts no program.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")  # the same for Intel's OpenMP
    import_cuda_libraries()


def shared_threads(runs: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of one of so many processes that share this machine: each has its share of the cores."""
    threads = str(max(1, cores() // max(1, runs)))
    return {**environment, "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
