"""What the data folder of a study was made from, so that a study never goes on with data that are no longer meant."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from detect_transfer.config import StudyConfig
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.io import read_json, sha256_file, write_json
from detect_transfer.workflows.study.folder import StudyFolder

_OF_A_RUN = {"path", "test_split", "split_file"}  # where the data lie, and what is chosen of them later


def keep_source(config: StudyConfig, folder: StudyFolder) -> None:
    """Note what the data folder that the study made comes from; nothing where it made none or this was noted.

    Raises:
        InputError: It was made from other data than the config names, or those were changed since.
        ResourceError: The disk is full or does not let us write.
    """
    path = folder.data_source
    if not folder.data.exists():
        path.unlink(missing_ok=True)
        return
    now = source_facts(config)
    if not path.is_file():
        write_json(path, now)
        return
    before = read_json(path)
    names = [name for name in now if now[name] is not None and now[name] != before.get(name)]
    if names:
        raise InputError(
            "STUDY_DATA",
            f"the study was begun with other data ({', '.join(names)} changed), which its data folder still holds",
            where=folder.data,
            field="data",
            remedy=f"put the data back; or remove {folder.data}, which is then made again and begins new runs; or name "
            "another folder for the study as out",
        )


def source_facts(config: StudyConfig) -> dict[str, Any]:
    """Return what the data folder of a study depends on; `files` is None where the source is not on this machine."""
    data = config.data
    facts: dict[str, Any] = {"data": data.model_dump(mode="json", exclude=_OF_A_RUN)}
    if data.synthetic is not None:
        return facts | {"seed": config.train.seed}
    return facts | {"files": _hash_of(data.path) if data.path is not None and data.path.exists() else None}


def _hash_of(path: Path) -> str:
    """Hash annotation files by their content, images by name and size."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        is_image = file.suffix.lower() in IMAGE_SUFFIXES
        content = str(file.stat().st_size) if is_image else sha256_file(file)
        name = file.name if file == path else file.relative_to(path).as_posix()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()
