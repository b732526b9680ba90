"""The first config of a study: what `study init` writes for your data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml

from detect_transfer.config import StudyConfig, make_config_of
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import write_atomic
from detect_transfer.core.temporary import scratch_folder
from detect_transfer.workflows.init_text import path_from
from detect_transfer.workflows.study.data import StudyData, load_study_data
from detect_transfer.workflows.study.folder import StudyFolder

_SIZES = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0)
_FEWEST, _MOST_SIZES = 10, 4  # images of the smallest part, and sizes
_TEXT = """\
# What are the pretrained weights worth on {name}? A study: every arm, at every size, with every seed.
#
# See it:     detect-transfer study plan {file}
# Run it:     detect-transfer study run {file}      (stop it when you like; the same command goes on)
# More:       detect-transfer study extend {file} study.seeds=[0,1,2,3,4]
#
# Data:       {facts}
{notes}# Every key of a run config may stand here too. All arms have `train.epochs`; `out` is the folder of the study.
{content}"""


def init_study(data: Path, out: Path, *, weights: str = "yolo11n", format: str = "auto") -> StudyConfig:
    """Read data, choose sizes that fit them, and write the config of a study.

    Args:
        data: The data folder or other data that `train` reads.
        out: The YAML file to write; it must not be there.
        weights: What the arms start from.
        format: The format of the data.

    Returns:
        What was written.

    Raises:
        InputError: The data cannot be read or studied, there are no such weights, or the file is there.
        ResourceError: Weights of a known name are not here and cannot be fetched.
    """
    from detect_transfer.models.hub import find_weights

    if out.exists() or out.is_symlink():
        raise InputError("OUT_EXISTS", "the file is there", where=out, remedy="give another name with --out")
    if weights == "scratch":
        what = "three of the four arms start from a source"
        raise InputError("STUDY_WEIGHTS", what, field="--weights", value=weights, remedy="e.g. --weights yolo11n")
    content: dict[str, Any] = {
        "data": {"path": str(data), **({} if format == "auto" else {"format": format})},
        "model": {"weights": weights},
        "train": {"epochs": 10, "imgsz": 320},
        "study": {
            "arms": {name: {} for name in ("scratch", "head_only", "full", "auto")},
            "sizes": [100.0],
            "seeds": [0, 1, 2],
            "budget": "images",
        },
    }
    with scratch_folder() as scratch:
        config = make_config_of(StudyConfig, content, where=data)
        whole = load_study_data(config, StudyFolder(scratch))
        content["study"]["sizes"] = _sizes(config, StudyFolder(scratch), whole)
    find_weights(weights)
    train, val, test = whole.n_images(100.0), whole.n_val, whole.n_test
    facts = (
        f"{train} training, {val} validation and {test} test images, {whole.splits[0].val.categories.height} classes"
    )
    notes = "".join(f"#             {note}\n" for note in whole.notes)
    content["data"]["path"] = path_from(out.parent, data)  # the YAML may lie elsewhere than where this was called
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True)
    write_atomic(out, _TEXT.format(name=data.name, file=shlex.quote(str(out)), facts=facts, notes=notes, content=text))
    return make_config_of(StudyConfig, content, where=out)


def _sizes(config: StudyConfig, folder: StudyFolder, whole: StudyData) -> list[int]:
    """Return the sizes of which the smallest has ten images and every class that is scored; at most four of them."""
    n_images = whole.n_images(100.0)
    sizes = [percent for percent in _SIZES if percent == 100 or n_images * percent / 100 >= _FEWEST]
    while len(sizes) > 1:
        study = config.study.model_copy(update={"sizes": sizes})
        try:
            load_study_data(config.model_copy(update={"study": study}), folder)
            break
        except InputError as error:
            if error.code not in ("STUDY_CLASSES", "STUDY_SIZES"):
                raise
            sizes = sizes[1:]
    return [int(size) for size in sizes[-_MOST_SIZES:]]
