"""Reading `data.yaml` as plain strings with their lines.

All scalars stay strings, so a class `no` is not False and `010` is not 8. Tags, anchors and keys that stand twice are
refused: nothing in a list of class names needs them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from detect_transfer.core import io
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.numbers import parse_integer

SPLITS = ("train", "val", "test")
_ALSO_CALLED = {"validation": "val"}
_OF_NAMES = {"names", "nc", "kpt_shape", "flip_idx"}  # all that exports without splits say, such as supervision's
_NOTHING = {"", "~", "null", "Null", "NULL"}
_DEEPEST = 10
_REMEDY = "write it as documented: path, train, val, test, nc, names"

Plain = str | list["Plain"] | dict[str, "Plain"]
_NOTHING_AT_ALL: list[Plain] = [*_NOTHING, []]


@dataclass(frozen=True)
class DataYaml:
    """What a `data.yaml`, or a file that says as much, says.

    Args:
        file: The file.
        names: The class names by index.
        splits: The entries of each split; under the name ``""`` those whose split the path of each image tells.
        path: Its key `path`.
        lines: The lines of keys.
        keypoints: How many keypoints of how many numbers a row has (`kpt_shape`).
    """

    file: Path
    names: list[str]
    splits: dict[str, list[str]]
    path: str | None
    lines: dict[str, int] = field(default_factory=dict)
    keypoints: tuple[int, int] | None = None

    def where(self, key: str) -> str:
        """Return the file and the line of a key."""
        return f"{self.file}:{self.lines.get(key, 1)}"


def load(path: Path) -> DataYaml:
    """Read and check a `data.yaml`.

    Raises:
        InputError: It is missing, is no YAML of plain values, or says something wrong; all problems at once.
    """
    node = _compose(io.read_text(path), path)
    errors = ErrorCollector()
    if not isinstance(node, yaml.MappingNode):
        raise InputError("YAML_SYNTAX", "expected keys with values", where=f"{path}:1", remedy=_REMEDY)
    plain = _plain(node, path, errors)
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
    errors.raise_any()
    content = {_ALSO_CALLED.get(k, k): v for k, v in plain.items() if v not in _NOTHING_AT_ALL}
    lines = {_ALSO_CALLED.get(k, k): line for k, line in lines.items()}
    if "download" in content:
        errors.add(
            *("CONFIG_DOWNLOAD", "nothing is downloaded or run at the wish of a data file"),
            where=f"{path}:{lines['download']}",
            field="download",
            value=content["download"],
            remedy="fetch the data yourself and remove the key",
        )
    given = [name for name in SPLITS if name in content]
    splits = {name: _entries(content[name], f"{path}:{lines[name]}", name, errors) for name in given}
    if not splits and content.keys() <= _OF_NAMES and (images := native.folder_named(path.parent, "images")):
        splits = {"": [images.name]}  # the paths of the images tell their splits
    if not splits:
        errors.add(
            *("YAML_KEY", "none of train, val and test is there"),
            where=path,
            remedy=_in_lower_case(list(content)) or (did_you_mean("train", list(content)) if content else _REMEDY),
        )
    root = content.get("path")
    if root is not None and not isinstance(root, str):
        errors.add("YAML_TYPE", "expected one folder", where=f"{path}:{lines['path']}", field="path", remedy=_REMEDY)
    names = _names(content, path, lines, errors)
    keypoints = _keypoints(content.get("kpt_shape"), f"{path}:{lines.get('kpt_shape', 1)}", errors)
    errors.raise_any()
    return DataYaml(path, names, splits, root if isinstance(root, str) else None, lines, keypoints)


def _in_lower_case(keys: list[str]) -> str:
    """Return what to write where keys are splits in capital letters; empty where none is."""
    words = [key for key in keys if _ALSO_CALLED.get(key.casefold(), key.casefold()) in SPLITS]
    return f"write {', '.join(words).casefold()} in small letters" if words else ""


def _compose(text: str, path: Path) -> yaml.Node | None:
    """Return the tree of the document after refusing what could harm or mislead."""
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            where = f"{path}:{event.start_mark.line + 1 if event.start_mark else 1}"
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None or depth > _DEEPEST:
                raise InputError(
                    *("YAML_PLAIN", "tags, anchors and deep nesting are not read"),
                    where=where,
                    remedy="write plain values",
                )
        return yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError("YAML_SYNTAX", str(error.problem), where=f"{path}:{line}", remedy=_REMEDY) from error
    except yaml.YAMLError as error:
        raise InputError("YAML_SYNTAX", str(error), where=path, remedy="save the file as plain text") from error


def _plain(node: yaml.Node, path: Path, errors: ErrorCollector) -> dict[str, Plain]:
    """Return a mapping node as a dict of plain values; the caller made sure that it is one."""
    value = _value(node, path, errors)
    return value if isinstance(value, dict) else {}


def _value(node: yaml.Node, path: Path, errors: ErrorCollector) -> Plain:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, path, errors) for item in node.value]
    mapping: dict[str, Plain] = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
        if name in mapping or not isinstance(key, yaml.ScalarNode):
            errors.add(
                *("YAML_KEY_TWICE", "the key stands twice or is no plain word"),
                where=f"{path}:{key.start_mark.line + 1}",
                field="key",
                value=name,
                remedy="keep one of them",
            )
        mapping[name] = _value(value, path, errors)
    return mapping


def _keypoints(value: Plain | None, where: str, errors: ErrorCollector) -> tuple[int, int] | None:
    """Return the count of keypoints and of the numbers of each, None where there is no such key."""
    if value is None:
        return None
    numbers = [parse_integer(each) for each in value if isinstance(each, str)] if isinstance(value, list) else []
    count, size = numbers if len(numbers) == 2 else (None, None)
    if count is None or size not in (2, 3) or not 0 < count < 10_000:
        what, remedy = "expected the count of keypoints, and 2 or 3 numbers of each", "write it such as [17, 3]"
        errors.add("YAML_TYPE", what, where=where, field="kpt_shape", value=value, remedy=remedy)
        return None
    return count, size


def _entries(value: Plain, where: str, split: str, errors: ErrorCollector) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    good = [e for e in entries if isinstance(e, str) and e not in _NOTHING]
    if len(good) < len(entries):
        what = "expected a folder, a text file that lists images, or a list of these"
        errors.add("YAML_TYPE", what, where=where, field=split, value=value, remedy=_REMEDY)
    return good


def _names(content: dict[str, Plain], path: Path, lines: dict[str, int], errors: ErrorCollector) -> list[str]:
    """Return the class names in the order of their index."""
    given, count = content.get("names"), content.get("nc")
    where = f"{path}:{lines.get('names', lines.get('nc', 1))}"
    n = parse_integer(count) if isinstance(count, str) else None
    if count is not None and (n is None or n < 1 or n > 1_000_000):
        errors.add("YAML_TYPE", "expected a count", where=where, field="nc", value=count, remedy=_REMEDY)
        return []
    if given is None:
        if n is None:
            errors.add("YAML_KEY", "neither names nor nc is there", where=path, field="names", remedy=_REMEDY)
        return [f"class_{i}" for i in range(n or 0)]
    names = _by_index(given, where, errors) if isinstance(given, dict) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        what = "expected a list of names, or names by index"
        errors.add("YAML_TYPE", what, where=where, field="names", remedy=_REMEDY)
        return []
    texts = [str(name) for name in names]
    check_names(texts, where, errors)
    if n is not None and n != len(texts):
        what = f"there are {len(texts)} names"
        errors.add("CLASS_COUNT", what, where=where, field="nc", value=n, remedy="make nc and names agree")
    return texts


def check_names(names: list[str], where: str, errors: ErrorCollector) -> None:
    """Report classes without a name, or with that of another."""
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if not name.strip() or first.setdefault(name, index) < index:
            what = f"class {index} has " + ("no name" if not name.strip() else f"the name of class {first[name]}")
            errors.add("CLASS_NAME", what, where=where, field="names", value=name, remedy="give each class its own")


def _by_index(given: dict[str, Plain], where: str, errors: ErrorCollector) -> list[Plain]:
    indices = {parse_integer(key): value for key, value in given.items()}
    if set(indices) != set(range(len(given))):
        what = f"expected every index from 0 to {len(given) - 1} once"
        keys = ", ".join(given)
        errors.add("CLASS_INDEX", what, where=where, field="names", value=keys, remedy="number the classes again")
        return []
    return [indices[i] for i in range(len(given))]
