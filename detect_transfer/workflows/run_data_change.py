"""Are the data that a run is scored on again those that it was trained with?"""

from __future__ import annotations

from detect_transfer.core.counted import counted
from detect_transfer.core.errors import InputError
from detect_transfer.data.run_data import RunData
from detect_transfer.data.used_images import n_used
from detect_transfer.workflows.run_folder import RunFolder


def is_of_other_data(run: RunFolder, data: RunData) -> bool:
    """Tell whether the data are others than a finished run was trained with; True where it does not say.

    Raises:
        InputError: Its manifest has changed.
    """
    return not run.manifest.is_file() or run.read_manifest().get("data_sha256") != data.fingerprint


def data_warning(run: RunFolder, data: RunData) -> str:
    """Say that a run is scored on others than its data, and how many of these images it learned from; "" if it is not.

    Raises:
        InputError: The manifest or the list of used images has changed.
    """
    if not is_of_other_data(run, data):
        return ""
    n_trained = _n_trained(run, data)
    changed = "the data are not those that the run was trained with" if run.manifest.is_file() else ""
    seen = f"it was trained on {_of_images(n_trained, data)}: on new images expect lower scores" if n_trained else ""
    return "; ".join(filter(None, (changed, seen)))


def refuse_trained_images(run: RunFolder, data: RunData) -> None:
    """Refuse to choose by images that a run was trained on, which others than its data may have in their split.

    Raises:
        InputError: There are such images.
    """
    n_trained = _n_trained(run, data) if is_of_other_data(run, data) else 0
    if n_trained:
        raise InputError(
            "RUN_DATA_CHANGED",
            f"it was trained on {_of_images(n_trained, data)}: the data are not those that it was trained with",
            where=run.path,
            field="data",
            remedy="put the data back, or train the runs again",
        )


def _n_trained(run: RunFolder, data: RunData) -> int:
    paths = [data.paths[image_id] for image_id in data.val.images["image_id"]]
    return n_used(run.read_used_images(), paths)["train"]


def _of_images(count: int, data: RunData) -> str:
    return f"{count:,} of the {counted(len(data.val.images), 'image')} that are scored"
