"""What can go wrong in a step, in words that say what to do."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.memory import is_out_of_memory
from detect_transfer.models.tensor_files import first_not_finite
from detect_transfer.training.context import TrainContext
from detect_transfer.training.dataset import Batch
from detect_transfer.training.feature_cache import FeatureBatch

_WORKER_DIED = ("exited unexpectedly", "killed by signal", "shared memory", "No space left on device")  # torch's words
_PEER_DIED = ("gloo", "NCCL", "TCPStore", "Connection closed by peer")


class LossNotFinite(InputError):
    """The loss, its gradient, or what it made of the weights is not finite."""


@contextmanager
def torch_errors(context: TrainContext) -> Iterator[None]:
    """Turn torch's words for a full memory, or for a batch that is too small, into an error that says what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise _out_of_memory(context) from error
        raise
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            raise _too_small(context) from error
        raise


@contextmanager
def loading_errors(folder: Path) -> Iterator[None]:
    """Turn torch's words for a loading process that died into an error that says what to do.

    Torch raises them from a signal handler, so wherever the training process is just then.

    Raises:
        ResourceError: A loading process died.
    """
    try:
        yield
    except (RuntimeError, SystemError) as error:
        message = _words_of_dead_worker(error)
        if message is None:
            raise
        raise ResourceError(
            "WORKER_DIED",
            f"a loading process died ({message})",
            field="train.workers",
            remedy="the memory or /dev/shm was full, or something ended it: go on with detect-transfer train "
            f"--resume {shlex.quote(str(folder))} train.workers=0, or with a smaller train.cache_mb",
        ) from error


@contextmanager
def process_errors(folder: Path) -> Iterator[None]:
    """Turn what torch raises where another process of a training died into an error that says how to go on.

    Raises:
        ResourceError: Another process died, or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in _PEER_DIED):
            raise
        message = str(error).splitlines()[0]
        raise ResourceError(
            "PROCESS_DIED",
            f"another process of this training ended ({message})",
            remedy="look at what it said, and whether the memory was full; go on with: torchrun --nproc-per-node "
            f"{os.environ.get('LOCAL_WORLD_SIZE', 2)} -m detect_transfer train --resume {shlex.quote(str(folder))}",
        ) from error


def _words_of_dead_worker(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, RuntimeError) and any(words in str(error) for words in _WORKER_DIED):
            return str(error).splitlines()[0]
        error = error.__cause__ or error.__context__
    return None


def not_finite(parts: dict[str, float], batch: Batch | FeatureBatch) -> LossNotFinite:
    """Return the error that names the loss parts and the images of a batch."""
    values = ", ".join(f"{name} {value:.3g}" for name, value in parts.items())
    files = ", ".join(path.name for path in batch.paths[:8])
    here = not all(map(math.isfinite, parts.values()))
    return LossNotFinite(
        "LOSS_NOT_FINITE",
        f"the loss is not finite ({values}) on {files}" if here else "the loss of another process is not finite",
        field="train.lr",
        remedy="start again with a lower train.lr or train.precision=fp32, go on with --resume and "
        "train.on_not_finite=roll_back, or look at these images; the last epoch is kept",
    )


def check_weights(context: TrainContext, *modules: nn.Module) -> None:
    """Check networks before they are scored and saved, in all processes alike.

    Raises:
        InputError: A value of one of them is not finite.
    """
    broken = next((name for module in modules if (name := first_not_finite(module.state_dict()))), None)
    flag = torch.tensor(float(broken is not None), device=context.accelerator.device)
    if float(context.accelerator.reduce(flag)) > 0:
        raise LossNotFinite(
            "WEIGHTS_NOT_FINITE",
            f"{f'the tensor {broken}' if broken else 'a tensor of another process'} is not finite after an epoch",
            field="train.lr",
            remedy="start again with a lower train.lr or train.precision=fp32, or go on with --resume and "
            "train.on_not_finite=roll_back; the last epoch is kept",
        )


def _too_small(context: TrainContext) -> InputError:
    return InputError(
        "BATCH_TOO_SMALL",
        f"an image of {context.settings.imgsz} px alone in a batch leaves one value a channel, which is no statistic",
        field="train.imgsz",
        value=context.settings.imgsz.plain,
        remedy="give a larger train.imgsz, or a train.batch that leaves no image alone; the last epoch is kept",
    )


def _out_of_memory(context: TrainContext) -> ResourceError:
    settings = context.settings
    return ResourceError(
        "OUT_OF_MEMORY",
        f"a batch of {settings.batch} images of {settings.imgsz} px does not fit",
        field="train.batch",
        value=settings.batch,
        remedy=f"go on with --resume {context.folder} train.accumulate={2 * settings.accumulate}, or start again with "
        f"train.batch={max(1, settings.batch // 2)} or a smaller train.imgsz; the last epoch is kept",
    )
