"""A device that the processor stands in for, to count where the host would wait for a real one.

Run as a script, as torch knows one such device a process: `pretend_device.py MODEL` trains two steps of a model, given
as JSON, and prints for each function in which the host waits in the second step how often it does.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from detect_transfer.config import Model, Transfer
from detect_transfer.models import build_detector
from detect_transfer.models.base import Target
from detect_transfer.training import epoch
from detect_transfer.training.averaging import average_of
from detect_transfer.training.dataset import Batch
from detect_transfer.training.notices import Notices
from detect_transfer.training.optim import L2SP
from detect_transfer.training.time_budget import Deadline

_setup_privateuseone_for_python_backend("pretend")
DEVICE = torch.device("pretend", 0)
# the host waits to know a value, or how long a result is
READ = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "bincount", "nms", "equal"}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}


class OnDevice(torch.Tensor):
    """A tensor of the device, with the one of the processor that it stands for."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnDevice:
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, held.size(), device=DEVICE, **layout)
        made.held = held
        return made

    def tolist(self) -> list[float]:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any) -> Any:
        raise AssertionError(f"{func} outside of the mode")


class CountWaits(TorchDispatchMode):
    """Computes on the processor what is on the device, and notes in which functions the host waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __enter__(self) -> CountWaits:
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=) is a copy like others
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(False)

    def __torch_dispatch__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func.overloadpacket._qualified_op_name.split("::")[1]
        there = [each for each in tree_leaves((args, kwargs)) if isinstance(each, OnDevice)]
        stays = bool(there)
        if kwargs.get("device") is not None:
            stays = torch.device(kwargs["device"]).type == DEVICE.type
            kwargs["device"] = torch.device("cpu")
        if _waits(name, args, kwargs, stays):
            frames = [f for f in traceback.extract_stack() if "/torch/" not in f.filename and f.filename != __file__]
            owner = "ours" if "site-packages" not in frames[-1].filename else "theirs"
            self.waits[f"{owner} {frames[-1].name}"] += 1
        known = {id(each.held): each for each in there}
        plain = tree_map(lambda each: each.held if isinstance(each, OnDevice) else each, (args, kwargs))
        result = func(*plain[0], **plain[1])
        if name == "copy_":
            return args[0]
        return tree_map(lambda each: _on_device(each, known) if stays else each, result)


def _on_device(value: Any, known: dict[int, OnDevice]) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return known[id(value)] if id(value) in known else OnDevice(value)


def _waits(name: str, args: Any, kwargs: Any, stays: bool) -> bool:
    """Tell whether the host waits for the device in an operation."""
    if name in ("_to_copy", "copy_"):
        source, blocking = args[0], not kwargs.get("non_blocking")
        if name == "copy_":
            source, stays, blocking = args[1], isinstance(args[0], OnDevice), not (len(args) > 2 and args[2])
        return blocking and isinstance(source, OnDevice) != stays
    if not any(isinstance(each, OnDevice) for each in tree_leaves((args, kwargs))):
        return False
    if name in INDEXING:
        indices = [each for each in args[1] if each is not None]
        masks = any(each.dtype in (torch.bool, torch.uint8) for each in indices)
        fills = name != "index" and args[2].numel() == 1  # a mask that is filled with one value
        return (masks and not fills) or not all(isinstance(each, OnDevice) for each in indices)
    return name in READ or (name == "repeat_interleave" and kwargs.get("output_size") is None)


def put(module: torch.nn.Module) -> None:
    """Put a network on the device."""
    for layer in module.modules():
        for name, parameter in layer._parameters.items():
            if parameter is not None:
                held = OnDevice(parameter.detach().clone())
                layer._parameters[name] = torch.nn.Parameter(held, requires_grad=parameter.requires_grad)
        for name, buffer in layer._buffers.items():
            if buffer is not None:
                layer._buffers[name] = OnDevice(buffer.clone())


def waits_of(model: dict[str, Any]) -> Counter[str]:
    """Return in which functions the host waits, and how often, in the second step of a training."""
    torch.pretend.get_amp_supported_dtype = lambda: [torch.bfloat16]
    torch.manual_seed(0)
    detector = build_detector(Model(**model), Transfer(), ["a", "b", "c"], None)[0]
    nothing = np.empty((0, 4))
    region = np.array([[10.0, 10, 40, 60]])
    targets = [
        Target(np.array([[5.0, 5, 60, 50], [20, 30, 90, 95]]), np.array([0, 2])),
        Target(nothing, np.empty(0, dtype=int)),
        Target(np.array([[15.0, 5, 60, 50]]), np.array([1]), region),
    ]
    images = torch.randint(0, 255, (3, 3, 160, 128), dtype=torch.uint8)
    batch = Batch(images, targets, [Path("image.png")] * 3, [0, 1, 2])
    with CountWaits() as mode, torch.autograd.set_multithreading_enabled(False):
        put(detector.module)
        if isinstance(getattr(detector.module, "stride", None), torch.Tensor):
            detector.module.stride = detector.module.stride.to(DEVICE, non_blocking=True)  # as ultralytics does
        detector.on_epoch(1, 2)
        detector.module.train()
        parameters = dict(detector.module.named_parameters())
        optimizer = torch.optim.AdamW([parameters[name] for name in sorted(detector.trainable)], foreach=True)
        optimizer.param_groups[0]["peak_lr"] = 1e-4
        average, scaler = average_of(detector.module), torch.amp.GradScaler("cpu", enabled=False)
        step = epoch.Step(detector.module, None, optimizer, scaler, average, L2SP(optimizer, {}, 0.0), Deadline())
        context: Any = SimpleNamespace(
            detector=detector,
            settings=SimpleNamespace(accumulate=1, clip_norm=10.0),
            precision="fp32",
            folder=Path("run"),
            stop=SimpleNamespace(signal=None),
            accelerator=SimpleNamespace(device=DEVICE, num_processes=1, no_sync=lambda _: nullcontext()),
        )
        for _ in range(2):
            mode.waits.clear()
            epoch._one_step(context, step, batch, Notices(context, step.deadline))
    return mode.waits


if __name__ == "__main__":
    sys.stdout.write(json.dumps(waits_of(json.loads(sys.argv[1]))))
