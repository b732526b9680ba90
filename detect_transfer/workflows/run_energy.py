"""The energy that the machine used while a run trained, where the machine tells it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_POWERCAP = Path("/sys/class/powercap")  # of Linux: counters of the processors, in microjoules
_SECONDS_BETWEEN_READINGS = 20.0  # a counter of 2^32 uJ runs over after a minute at 70 W


class EnergyMeter:
    """Adds up the counters of processors (RAPL) and of NVIDIA devices while its block runs.

    They count all that the machine does, whatever else runs on it.
    """

    def __init__(self, *, powercap: Path = _POWERCAP) -> None:
        self._counters = [*_processors(powercap), *_devices()]
        self._last = [read() for read, _ in self._counters]
        self._sum = 0.0
        self._reading = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def joules(self) -> float | None:
        """What was used so far; None where the machine does not tell."""
        self.read()
        return self._sum if self._counters else None

    def read(self) -> None:
        """Read all counters; one that cannot be read any more leaves no sum that would be too small."""
        with self._reading:  # two threads that read at once would count a span twice
            for i, (read, largest) in enumerate(self._counters):
                try:
                    now = read()
                except (OSError, ValueError, RuntimeError):
                    self._counters = []
                    return
                self._sum += (now - self._last[i]) % largest if largest else now - self._last[i]
                self._last[i] = now

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_READINGS):
            self.read()

    def __enter__(self) -> EnergyMeter:
        if self._counters:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()


Counter = tuple[Callable[[], float], float]  # gives joules; where it begins again from 0, 0 for never


def _processors(powercap: Path) -> Iterator[Counter]:
    """Yield the counter of each processor; its parts lie in folders with a second number.

    The counter `psys` of some machines is of the whole board, the processors among it, which would count twice.
    """
    for folder in sorted(powercap.glob("intel-rapl:*")):
        if folder.name.count(":") > 1:
            continue
        with suppress(OSError, ValueError):  # most systems let none but the administrator read it
            if not (folder / "name").read_text().startswith("package"):
                continue
            largest = int((folder / "max_energy_range_uj").read_text()) / 1e6
            path = folder / "energy_uj"
            int(path.read_text())
            yield (lambda path=path: int(path.read_text()) / 1e6), largest  # type: ignore[misc]


def _devices() -> Iterator[Counter]:
    """Yield the counter of each NVIDIA device."""
    import torch

    if not torch.cuda.is_available():
        return
    try:
        import pynvml
    except ImportError:
        return
    nvml: Any = pynvml
    with suppress(nvml.NVMLError):
        nvml.nvmlInit()
        for i in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(i)
            nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            yield (lambda handle=handle: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3), 0.0  # type: ignore[misc]
