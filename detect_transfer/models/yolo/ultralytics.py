"""The fence around ultralytics: the one place that imports it.

Left to itself the package installs what it misses with pip, asks the network, writes settings to the home folder and
unpickles whatever it is given. Before the import its settings are sent to a temporary folder that is removed at exit,
its installer, network and telemetry are turned off. Afterwards the global things that it changed are put back. We use
its network modules and its loss; its data loading, trainer, plots, downloads and its reading of weights stay unused.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detect_transfer.core.errors import InputError, ResourceError, did_you_mean
from detect_transfer.core.quiet_imports import import_fonts
from detect_transfer.core.temporary import private_folder

_FENCE = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",
}
_VERSION = "8.4.190"  # as pyproject.toml pins it


@dataclass(frozen=True)
class Ultralytics:
    """What we use of ultralytics."""

    version: str
    DetectionModel: Any
    Detect: Any
    load_checkpoint: Any
    arch_folder: Path


def is_installed() -> bool:
    """Tell whether ultralytics could be imported; it is not imported for it."""
    try:
        return importlib.util.find_spec("ultralytics") is not None
    except ImportError:
        return False


@functools.cache
def load_ultralytics() -> Ultralytics:
    """Import ultralytics behind the fence, once.

    Raises:
        ResourceError: It is not installed; everything but the YOLO family works without it.
    """
    if not is_installed():
        raise ResourceError(
            "PACKAGE_MISSING",
            "the yolo family needs ultralytics, which is not installed",
            field="model.family",
            value="yolo",
            remedy=f"pip install ultralytics=={_VERSION}, or set model.family to torchvision or transformers",
        )
    import cv2
    import numpy as np
    import PIL.Image
    import torch

    replaced = [(torch, "save"), (PIL.Image, "open"), (cv2, "imread"), (cv2, "imwrite"), (cv2, "imshow")]
    before = [(owner, name, getattr(owner, name)) for owner, name in replaced]
    threads = (torch.get_num_threads(), cv2.getNumThreads())
    environment = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "NUMEXPR_MAX_THREADS")}
    print_options = np.get_printoptions()
    os.environ.update(_FENCE, YOLO_CONFIG_DIR=str(private_folder()))

    import_fonts()
    import ultralytics
    from ultralytics.nn.modules.head import Detect
    from ultralytics.nn.tasks import DetectionModel, load_checkpoint
    from ultralytics.utils import SETTINGS

    SETTINGS["sync"] = False
    for owner, name, function in before:
        setattr(owner, name, function)
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])
    torch.set_printoptions(profile="default")  # type: ignore[no-untyped-call]
    np.set_printoptions(**print_options)
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    folder = Path(ultralytics.__file__).parent / "cfg" / "models"
    return Ultralytics(str(ultralytics.__version__), DetectionModel, Detect, load_checkpoint, folder)


@functools.cache
def known_architectures() -> dict[str, tuple[str, ...]]:
    """Return the detection architectures by the name of their file, each with its names: one a size letter.

    Those with maps at a stride of 64 are left out: images are padded to multiples of 32.
    """
    other = ("-p6", "-cls", "-obb", "-pose", "-seg", "-sem", "-depth", "yoloe", "rtdetr", "-world", "classify")
    stems = sorted(path.stem for path in load_ultralytics().arch_folder.glob("*/*.yaml"))
    return {stem: _with_sizes(stem) for stem in stems if not any(word in stem for word in other)}


def _with_sizes(stem: str) -> tuple[str, ...]:
    if re.fullmatch(r"yolov\d+[a-z]|yolov3.*", stem):
        return (stem,)
    return tuple(re.sub(r"^(yolov?\d+)", rf"\g<1>{size}", stem) for size in "nsmlx")


def example_names() -> list[str]:
    """Return a full name for each architecture: the smallest size of those that have several."""
    return sorted(names[0] for names in known_architectures().values())


def full_names() -> set[str]:
    """Return the full names of all detection architectures."""
    return {name for names in known_architectures().values() for name in names}


def is_known(arch: str) -> bool:
    """Tell whether this is the full name of a detection architecture."""
    return arch in full_names()


def architectures_of_depth(n_layers: int) -> list[str]:
    """Return the full names of the architectures of so many layers, small ones first."""
    fitting = []
    for stem, names in known_architectures().items():
        layers = yaml.safe_load(next(load_ultralytics().arch_folder.glob(f"*/{stem}.yaml")).read_text(encoding="utf-8"))
        if len(layers["backbone"]) + len(layers["head"]) == n_layers:
            fitting.append(names)
    return [names[i] for i in range(5) for names in fitting if i < len(names)]


def build_module(arch: str, n_classes: int) -> Any:
    """Build an untrained ultralytics detection network, from torch's own random state.

    Args:
        arch: An architecture with its size letter, such as `yolo11n` or `yolov8s`.
        n_classes: The number of classes of its head.

    Raises:
        InputError: There is no such architecture, or it is no plain detector.
    """
    if not is_known(arch):
        raise InputError(
            "ARCH_UNKNOWN",
            "ultralytics has no such detection architecture of strides up to 32",
            field="model.arch",
            value=arch,
            remedy=did_you_mean(arch, example_names()),
        )
    return load_ultralytics().DetectionModel(f"{arch}.yaml", nc=n_classes, verbose=False)
