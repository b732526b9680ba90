"""Training images that end the process which loads them, in a module that a spawned process can import."""

import os
import signal
from typing import Any

from detect_transfer.training.dataset import TrainSet


class Deadly(TrainSet):
    """No image can be had from it."""

    def __getitem__(self, key: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)
