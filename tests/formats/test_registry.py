"""The registry of formats: an entry that lacks something fails with what it lacks."""

from __future__ import annotations

import ast
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from paths import DATASETS, ROOT

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats import READERS, Format, get_format

PLAIN_TYPES = (bool, int, float, str, Path)
NUMBERED = {"images", "classes", "order of classes"}
WITHOUT_SAMPLE = {"data_folder"}  # written by ourselves: its test makes one


def is_plain(kind: Any) -> bool:
    """Tell whether a command line can give a value of this type."""
    if get_origin(kind) in (Union, types.UnionType):
        return all(part is type(None) or is_plain(part) for part in get_args(kind))
    return kind in PLAIN_TYPES or get_origin(kind) is Literal or kind == Sequence[str]


def is_recognised(form: Format, sample: Path) -> bool:
    """Tell whether the patterns of a format, if it has any, find something in its sample."""
    patterns = [*form.proof.split(), *form.hints.split()]
    return not patterns or any(next(sample.glob(pattern), None) for pattern in patterns)


def lacking(name: str, form: Format, datasets: Path) -> list[str]:
    """Return what an entry of the registry still needs, in words."""
    cards = {path.parent: yaml.safe_load(path.read_text(encoding="utf-8")) for path in datasets.glob("*/dataset.yaml")}
    folders = [folder for folder, card in cards.items() if card.get("format") == name]
    needs = {
        f"a card: datasets/<name>/dataset.yaml with `format: {name}`": bool(folders),
        "a sample folder beside its card": all((folder / "sample").is_dir() for folder in folders),
        "an expected.csv beside its card": all((folder / "expected.csv").is_file() for folder in folders),
        "a summary": bool(form.summary.strip()),
        "`proof` or `hints`, or why there is neither in `not_recognised`": bool(form.proof or form.hints)
        != bool(form.not_recognised),
        "patterns that find its samples": all(is_recognised(form, folder / "sample") for folder in folders),
        f"`numbers` out of {sorted(NUMBERED)}": form.numbers <= NUMBERED,
        **{
            f"a plain type of the option {option} (bool, int, float, str, Path, Literal or these | None)": is_plain(
                facts.type
            )
            for option, facts in form.options.items()
        },
    }
    of_card = ("a card", "a sample", "an expected")
    return [
        need for need, met in needs.items() if not met and not (name in WITHOUT_SAMPLE and need.startswith(of_card))
    ]


@pytest.mark.parametrize("name", READERS)
def test_format__lacks_nothing(name: str) -> None:
    missing = lacking(name, READERS[name], DATASETS)
    assert not missing, f"the format {name} lacks {'; '.join(missing)}"


def unregistered(modules: Sequence[Path], registered: Sequence[str]) -> list[str]:
    """Return the modules that have a `read` which no format has, nor a reader of one uses."""
    trees = {".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text()) for path in modules}
    used = set(registered)
    for name in registered:
        for node in ast.walk(trees[name]) if name in trees else ():
            if isinstance(node, ast.ImportFrom):
                used |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names}
    return [
        name
        for name, tree in trees.items()
        if name not in used and any(isinstance(node, ast.FunctionDef) and node.name == "read" for node in tree.body)
    ]


def test_every_reader__is_registered() -> None:
    groups = ("traffic_signs", "traffic_lights", "pedestrians", "tools")
    modules = [path for group in groups for path in sorted((ROOT / "detect_transfer/formats" / group).glob("*.py"))]
    assert len(modules) > 40
    registered = [form.reader.__module__ for form in READERS.values()]
    missing = unregistered(modules, registered)
    assert not missing, f"no line in FORMATS of its group has the `read` of {missing}"
    forgotten = "detect_transfer.formats.tools.via"
    assert unregistered(modules, [name for name in registered if name != forgotten]) == [forgotten]


def read_toy(root: Path, *, depth: int = 1) -> AnnotationTable:
    raise NotImplementedError


def read_untyped(root: Path, *, depth=1) -> AnnotationTable:  # type: ignore[no-untyped-def]
    raise NotImplementedError


def toy_folder(root: Path, *parts: str) -> Path:
    """Make the folder of a data set of the format `toy` with these parts."""
    folder = root / "toy"
    (folder / "sample").mkdir(parents=True) if "sample" in parts else folder.mkdir()
    if "card" in parts:
        (folder / "dataset.yaml").write_text("format: toy\n")
    if "expected" in parts:
        (folder / "expected.csv").touch()
    if "mark" in parts:
        (folder / "sample" / "toy.txt").touch()
    return root


WHOLE = ("card", "sample", "expected", "mark")


@pytest.mark.parametrize(
    ("form", "parts", "missing"),
    [
        pytest.param(Format(read_toy, "a toy", hints="toy.txt"), WHOLE, None, id="whole"),
        pytest.param(Format(read_toy, "a toy", not_recognised="any name"), WHOLE, None, id="a-reason"),
        pytest.param(Format(read_toy, "a toy", hints="toy.txt"), WHOLE[1:], "a card: datasets/<name>", id="card"),
        pytest.param(Format(read_toy, "a toy", not_recognised="x"), ("card", "expected"), "a sample", id="sample"),
        pytest.param(Format(read_toy, "a toy", not_recognised="x"), WHOLE[:2], "an expected.csv", id="expected"),
        pytest.param(Format(read_toy, "", hints="toy.txt"), WHOLE, "a summary", id="summary"),
        pytest.param(Format(read_toy, "a toy"), WHOLE, "`proof` or `hints`", id="recognition"),
        pytest.param(Format(read_toy, "a toy", hints="no.txt"), WHOLE, "patterns that find", id="idle-patterns"),
        pytest.param(Format(read_untyped, "a toy", hints="toy.txt"), WHOLE, "the option depth", id="option"),
        pytest.param(
            Format(read_toy, "a toy", hints="toy.txt", numbers=frozenset({"boxes"})), WHOLE, "`numbers`", id="numbers"
        ),
    ],
)
def test_toy_format__names_what_it_lacks(
    form: Format, parts: tuple[str, ...], missing: str | None, tmp_path: Path
) -> None:
    messages = lacking("toy", form, toy_folder(tmp_path, *parts))
    assert len(messages) == (missing is not None)
    assert missing is None or missing in "; ".join(messages)


def test_options__have_names_types_and_defaults() -> None:
    options = READERS["gtsdb"].options
    assert {name: option.default for name, option in options.items()} == {
        "missing_images": "error",
        "on_error": "fail",
    }
    assert READERS["coco"].options["images"].type == Path | None


def test_get_format__names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"FORMAT_UNKNOWN format=gtsbd .*'gtsdb'"):
        get_format("gtsbd")


@pytest.mark.parametrize(
    ("name", "known"),
    [("pascal_voc", "voc"), ("bstld", "bosch_lights"), ("Label-Studio", "label_studio"), ("OID", "openimages")],
)
def test_get_format__knows_what_others_call_it(name: str, known: str) -> None:
    with pytest.raises(InputError, match=f"FORMAT_UNKNOWN .*; write {known}$"):
        get_format(name)
