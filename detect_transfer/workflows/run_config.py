"""The config of a run from the words of a command: of a file, of data alone, or of the quick start."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from detect_transfer.config import RunConfig, load_config, make_config, read_yaml
from detect_transfer.core.errors import InputError
from detect_transfer.core.shipped import shipped
from detect_transfer.formats.recognition import recognised
from detect_transfer.workflows.run_folder import RunFolder

QUICK_START = Path(__file__).parents[1] / "assets" / "quickstart.yaml"
_OWN_DATA = ("data.path", "data.train_json", "data.val_json")


def config_of_words(path: Path | None, words: Sequence[str]) -> tuple[RunConfig, str]:
    """Return the config that a run goes by, and its name.

    Args:
        path: The YAML file; None takes the defaults where a word names data, else the quick start.
        words: Overrides such as `train.epochs=5`.

    Raises:
        InputError: The file cannot be read, or keys or values are wrong; one error holds all problems.
    """
    if path is not None and path.is_dir():
        is_run = RunFolder(path).config.is_file()
        raise InputError(
            "FILE_KIND",
            "a config file was expected, and this is a run folder" if is_run else "a config file was expected here",
            where=path,
            remedy=f"write --resume {shlex.quote(str(path))}"
            if is_run
            else f"write {shlex.quote(f'data.path={path}')}",
        )
    if path is None and any(word.partition("=")[0] in _OWN_DATA for word in words):
        config = make_config({}, words, where="command line")
        source = config.data.path or config.data.train_json
        assert source is not None  # a pair or a path, as the config checks
        return config, name_of_data(source)
    if path is not None and (kind := _data_kind(path)) is not None:
        raise InputError(
            "FILE_KIND",
            f"a config file was expected, and these are data ({kind})",
            where=path,
            remedy=f"write {shlex.quote(f'data.path={path}')}",
        )
    path = QUICK_START if path is None else shipped(path)
    return load_config(path, words), path.stem


def name_of_data(path: Path) -> str:
    """Return what a file about data at `path` is called: by its folder where the file is a `data.yaml` or the like."""
    whole = path.absolute()
    if whole.is_dir():
        return whole.name
    return whole.parent.name if whole.stem in {"data", "dataset", "_annotations"} else whole.stem


def _data_kind(path: Path) -> str | None:
    """Return the format of a file that is data and no config; None for one that may be a config."""
    if not path.is_file():
        return None
    if path.suffix.lower() not in (".yaml", ".yml"):
        return recognised(path)
    with suppress(InputError):  # which loading it tells with its line
        content = read_yaml(path)
        if isinstance(content, Mapping) and "names" in content and not content.keys() & {"data", "model", "transfer"}:
            return "yolo"
    return None


def new_run_folder(name: str) -> Path:
    """Make ``runs/NAME``, or ``runs/NAME-2`` and so on where that is there, also where others make theirs meanwhile."""
    folder, number = Path("runs") / name, 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            folder = folder.with_name(f"{name}-{number}")
        else:
            return folder
