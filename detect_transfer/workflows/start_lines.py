"""What a run says before it trains: the device, the images, the batch."""

from __future__ import annotations

from detect_transfer.config import RunConfig
from detect_transfer.core.counted import counted
from detect_transfer.data.run_data import RunData
from detect_transfer.training.context import TrainContext


def start_lines(config: RunConfig, data: RunData, context: TrainContext) -> list[str]:
    """Return what is trained on what, in lines."""
    import torch

    device, settings = context.accelerator.device, config.train
    where = counted(torch.get_num_threads(), "thread") if device.type == "cpu" else torch.cuda.get_device_name(device)
    counts = [(part.images.height, name) for part, name in ((data.train, "training"), (data.val, "validation"))]
    counts += [] if data.test is None else [(data.test.images.height, "test")]
    images = ", ".join(f"{count:,} {name}" for count, name in counts)
    devices = context.accelerator.num_processes
    each = f" on {devices} devices, {settings.batch // devices} each; the rates are those of the whole batch"
    return [
        f"device: {device}, {where}, {context.precision}",
        f"images: {images}, {counted(data.train.categories.height, 'class', 'classes')}",
        f"batch {settings.batch}{each if devices > 1 else ''}, {settings.imgsz} px{_shape_words(context)}",
    ]


def _shape_words(context: TrainContext) -> str:
    """Return what images of like shape are padded to, in words; nothing where all are padded alike."""
    groups, settings = context.groups, context.settings
    if settings.batch_shapes == "one":
        return ""
    parts = [f"{len(groups.members(i)):,} of {size} px" for i, size in enumerate(groups.sizes)]
    share = groups.pixels / (settings.imgsz.area * len(groups.of_image))
    return f"; padded by shape: {', '.join(parts)}; {share:.0%} of the pixels"
