"""Finding the file of pretrained weights: by a path, by a known name, or from its publisher.

Nothing is fetched unless a known name was asked for that no file answers to.
"""

from __future__ import annotations

import os
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from detect_transfer.config.paths import STATED_HASH
from detect_transfer.core.errors import InputError, ResourceError, did_you_mean
from detect_transfer.core.io import new_file, sha256_file
from detect_transfer.core.opening import is_special, not_regular, what_is_there
from detect_transfer.models.checkpoints import EMBEDDED, EXPORTED_SUFFIXES, load_weights
from detect_transfer.models.families import FAMILIES
from detect_transfer.models.published_hashes import SHA256

WEIGHTS_VARIABLE = "DETECT_TRANSFER_WEIGHTS"
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_CONFIG = "config.json"
_BEST_OF_RUN = "weights/best.safetensors"
_IN_FOLDERS = ("model.safetensors", "pytorch_model.bin")  # what the hub of Hugging Face calls weights in a folder
_SECONDS_TO_CONNECT = 3.0
_DIGEST = re.compile(r"[0-9a-f]{64}")


def find_weights(wanted: str, *, folders: tuple[Path, ...] = ()) -> Path:
    """Return the file for `embedded`, a path, or a known name such as `yolo11n` or `fasterrcnn_resnet50_fpn`.

    A folder as the hub of Hugging Face has it holds the file beside its `config.json`. A name, with or without a
    suffix, is looked for in the folder of the environment variable DETECT_TRANSFER_WEIGHTS, in `folders` and in
    ./weights, then fetched from its publisher into the first of these. What is fetched must have the hash that is held
    here, or that is stated behind the name as `yolov9c@sha256:HASH`; a file that is there must have a stated hash, too.

    Raises:
        InputError: A path does not exist, the name is not known, no hash of the published file is held or stated, or
            the file has another.
        ResourceError: The name is known but the file cannot be had; every place that was looked at is named.
    """
    wanted, stated = _split(wanted)
    path = _find(wanted, stated, folders)
    if stated and (sha256 := sha256_file(path)) not in stated:
        raise InputError(
            "WEIGHTS_HASH",
            f"its hash is {sha256}, not {stated[0]}",
            where=path,
            remedy="state the hash of this file, or move it away",
        )
    return path


def _split(wanted: str) -> tuple[str, tuple[str, ...]]:
    """Return the name or path without the hash that is stated behind it, and that hash, if any.

    Raises:
        InputError: What is stated is no hash.
    """
    name, mark, digest = wanted.partition(STATED_HASH)
    if mark and not _DIGEST.fullmatch(digest.lower()):
        raise InputError(
            "WEIGHTS_HASH",
            "a SHA-256 has 64 digits of 0-9 and a-f",
            field="model.weights",
            value=wanted,
            remedy=f"write the whole hash behind {name}{STATED_HASH}",
        )
    return name, (digest.lower(),) if mark else ()


def _find(wanted: str, stated: tuple[str, ...], folders: tuple[Path, ...]) -> Path:
    if wanted == "embedded":
        return EMBEDDED
    path = Path(wanted)
    if path.suffix in (*_SUFFIXES, *EXPORTED_SUFFIXES):
        if path.is_file():
            return path
        if path.name == wanted and path.stem in _known_names():
            return _find(path.stem, stated, folders)  # as ultralytics calls what it publishes
        if is_special(path):
            raise not_regular(path)
        raise InputError(
            "WEIGHTS_MISSING", what_is_there(path), field="model.weights", value=wanted, remedy="check the path"
        )
    if (path / _CONFIG).is_file():
        return _in_folder(path)
    url = _address(wanted)
    own_folder = os.environ.get(WEIGHTS_VARIABLE)
    searched = [*([Path(own_folder)] if own_folder else []), *folders, Path("weights")]
    published = Path(url).name
    if published in _IN_FOLDERS:  # which says nothing of what it is
        published = f"{wanted}{Path(url).suffix}"
    stems = dict.fromkeys([wanted, Path(published).stem])  # as we call it, and as it was published
    candidates = [folder / f"{stem}{suffix}" for folder in searched for stem in stems for suffix in _SUFFIXES]
    existing = next((candidate for candidate in candidates if candidate.is_file()), None)
    in_folder = next((folder / wanted for folder in searched if (folder / wanted / _CONFIG).is_file()), None)
    if existing is None and in_folder is not None:
        return _in_folder(in_folder)
    return existing or _fetch(wanted, url, searched[0] / published, candidates, stated)


def _in_folder(folder: Path) -> Path:
    """Return the weights in a folder as the hub has it.

    Raises:
        InputError: It has none, or they are in several files.
    """
    for name in _IN_FOLDERS:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        "WEIGHTS_MISSING",
        f"this folder has a {_CONFIG} but no {' and no '.join(_IN_FOLDERS)}",
        field="model.weights",
        value=str(folder),
        remedy="copy the weights into it, in one file",
    )


def architecture_of(wanted: str) -> str | None:
    """Return the architecture of what `find_weights` would be asked for; a known name is that of its architecture.

    Raises:
        InputError: There is no such file, or it cannot be read.
    """
    wanted, _ = _split(wanted)
    if wanted == "embedded" or Path(wanted).suffix in _SUFFIXES or (Path(wanted) / _CONFIG).is_file():
        return load_weights(find_weights(wanted)).arch or None
    return wanted


def _address(wanted: str) -> str:
    """Return where a known name is published."""
    url = next((url for family in FAMILIES.values() if (url := family.weights_url(wanted)) is not None), None)
    if url is not None:
        return url
    if is_special(Path(wanted)):
        raise not_regular(wanted)
    if Path(wanted).is_dir():
        file = next((each for name in (_BEST_OF_RUN, *_IN_FOLDERS) if (each := Path(wanted) / name).is_file()), None)
        raise InputError(
            "WEIGHTS_UNKNOWN",
            "it is a folder, and no model of the hub",
            field="model.weights",
            value=wanted,
            remedy=f"give model.weights={file or 'a file in it'}",
        )
    raise InputError(
        "WEIGHTS_UNKNOWN",
        "neither a weights file nor a known name",
        field="model.weights",
        value=wanted,
        remedy=did_you_mean(wanted, ["scratch", "embedded", *_known_names()]),
    )


def _known_names() -> list[str]:
    return [name for family in FAMILIES.values() for name in family.known_weights()]


def _fetch(name: str, url: str, target: Path, searched: list[Path], stated: tuple[str, ...]) -> Path:
    expected = stated or SHA256.get(name, ())
    if not expected:
        raise InputError(
            "WEIGHTS_HASH",
            f"it is not at {', '.join(map(str, searched))}, and no hash is held here that a download must have",
            field="model.weights",
            value=name,
            remedy=f"fetch {url} and put it at {target}, or write {name}{STATED_HASH}HASH with the SHA-256 that its "
            "publisher states",
        )

    def unavailable(reason: object) -> ResourceError:
        places = ", ".join(str(path) for path in [*searched, url])
        return ResourceError(
            "WEIGHTS_UNAVAILABLE",
            f"looked at {places} ({reason})",
            field="model.weights",
            value=name,
            remedy=f"put the file at {target}, or in the folder named by ${WEIGHTS_VARIABLE}, or give its path as "
            "model.weights",
        )

    try:
        with urllib.request.urlopen(url, timeout=_SECONDS_TO_CONNECT) as answer, new_file(target) as stream:
            shutil.copyfileobj(answer, stream)
            stream.flush()
            sha256 = sha256_file(Path(stream.name))
            if sha256 not in expected:
                raise unavailable(f"what came has the hash {sha256}, not {' or '.join(expected)}")
    except (OSError, urllib.error.URLError) as error:
        raise unavailable(getattr(error, "reason", error)) from error
    return target
