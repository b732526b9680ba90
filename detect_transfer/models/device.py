"""Which device and which arithmetic: bfloat16 where the hardware has it, never where it is only emulated."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch

from detect_transfer.core.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]


def choose_device(wanted: str, *, field: str = "train.device") -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda` or `mps`; one with a number, `cuda:1`, becomes torch's current one.

    Args:
        wanted: Its name.
        field: The key or flag that asks for it.

    Raises:
        InputError: It does not exist here.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise InputError(
            "DEVICE_UNKNOWN", "no such device", field=field, value=wanted, remedy="give auto, cpu, cuda or mps"
        ) from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise InputError(
            "DEVICE_MISSING",
            f"torch {torch.__version__} sees no such device here",
            field=field,
            value=wanted,
            remedy="give auto or cpu, or install a torch build and driver for it",
        )
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # accelerate asks for `cuda` alone
    return device


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor of the host on a device; the host does not wait for the copy, and so not for what is before it.

    Pinned memory makes it so on CUDA: out of other memory the copy would wait.
    """
    if device.type == "cpu" or tensor.device == device:
        return tensor
    if device.type == "cuda" and torch.cuda.is_available():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def device_of(module: torch.nn.Module) -> torch.device:
    """Return the device that a network computes on; the CPU for one without parameters of its own."""
    parameter = next(module.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """Return the arithmetic for `auto`: bfloat16 on hardware that has it, half on older CUDA, else single."""
    if wanted in ("fp32", "bf16", "fp16"):
        return wanted  # type: ignore[return-value]
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device.type == "cpu" and cpu_has_bf16() else "fp32"


def half_precision(module: torch.nn.Module) -> Precision:
    """Return the half precision of the device that a network computes on.

    Raises:
        InputError: It has none, and would be slower with it, or another runtime computes.
    """
    if next(module.parameters(), None) is None:
        raise InputError(
            "HALF_PRECISION",
            "an exported model computes with the numbers that it was exported with",
            field="--half",
            remedy="leave it out, or give the weights that it was exported from",
        )
    if device_of(module).type != "cpu":
        return "fp16"
    if cpu_has_bf16():
        return "bf16"
    raise InputError(
        "HALF_PRECISION", "this processor has no half precision", field="--half", remedy="leave it out, or use a GPU"
    )


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """Return torch's autocast for a precision; nothing for single precision."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute single precision in full meanwhile: without TF32, autocast or anything else that rounds."""
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    owners = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv)
    before = [owner.fp32_precision for owner in owners]
    try:
        for owner in owners:
            owner.fp32_precision = "ieee"
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for owner, precision in zip(owners, before, strict=True):
            owner.fp32_precision = precision


@contextmanager
def tuned_convolutions() -> Iterator[None]:
    """Let cuDNN try its convolutions once for each shape meanwhile, which pays where all batches have one."""
    cudnn: Any = torch.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark = True
    try:
        yield
    finally:
        cudnn.benchmark = before


def cpu_has_bf16() -> bool:
    """Tell whether this CPU multiplies bfloat16 in hardware; without it autocast is slower than single precision."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def machine_name() -> str:
    """Return the processor, its cores and the accelerators in a few words."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = f"{names[0] if names else platform.processor() or platform.machine()}, {len(names) or '?'} cores"
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join([cpu, *gpus])


def peak_memory_mb(device: torch.device) -> int | None:
    """Return the most memory that this process has had so far: of the accelerator, else of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device) >> 20)
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak >> 20 if sys.platform == "darwin" else peak >> 10)  # bytes there, kilobytes elsewhere
