"""F33: a key that stands twice in a JSON object is seen in every object, by every reader, with its place."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from paths import DATASETS, ROOT

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import parse_json
from detect_transfer.formats import get_format

MARK = "@twice@"
NOT_READ = ("v1.0-test", "images_rgb_train")  # of nuImages' test set the images alone are read, of FLIR one modality
SUFFIXES = (".json", ".jsonl", ".odgt", ".manifest")


def objects_of(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every object below a value, with the keys that lead to it."""
    if isinstance(value, dict):
        yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from objects_of(child, f"{path}/{key}" if isinstance(key, str) else path)


def with_one_twice(text: str) -> Iterator[tuple[str, str]]:
    """Give each kind of key of a document, and the document with that key twice in its last object of that kind."""
    document = json.loads(text)
    last = {(path, key): index for index, (path, item) in enumerate(objects_of(document)) for key in item}
    for (_, key), index in last.items():
        changed = copy.deepcopy(document)
        item = list(objects_of(changed))[index][1]
        item[MARK] = item[key]
        yield key, json.dumps(changed).replace(f'"{MARK}"', json.dumps(key))


def samples() -> list[Path]:
    return sorted(p for p in DATASETS.rglob("*") if p.suffix in SUFFIXES and "sample" in p.parts)


def test_every_key_of_every_sample() -> None:
    keys = 0
    for path in samples():
        text = path.read_text(encoding="utf-8-sig")
        for line in [text] if path.suffix == ".json" else filter(str.strip, text.splitlines()):
            parse_json(line.encode(), path)
            for key, twice in with_one_twice(line):
                with pytest.raises(InputError, match="JSON_KEY_TWICE") as raised:
                    parse_json(twice.encode(), path)
                assert raised.value.field == key
                keys += 1
    assert keys > 300


@pytest.mark.parametrize("name", sorted({p.relative_to(DATASETS).parts[0] for p in samples()}))
def test_every_reader__names_the_file_and_the_key(name: str, tmp_path: Path) -> None:
    card = yaml.safe_load((DATASETS / name / "dataset.yaml").read_text(encoding="utf-8"))
    root = Path(shutil.copytree(DATASETS / name / "sample", tmp_path / "sample"))
    paths = [p for p in sorted(root.rglob("*")) if p.suffix in SUFFIXES and p.parent.name not in NOT_READ]
    text = paths[0].read_text(encoding="utf-8-sig")
    lines = text.splitlines() if paths[0].suffix != ".json" else [text]
    key, lines[0] = list(with_one_twice(lines[0]))[-1]
    paths[0].write_text("\n".join(lines))
    with pytest.raises(InputError, match="JSON_KEY_TWICE") as raised:
        get_format(card["format"]).read(root, **card["options"])
    assert str(paths[0]) in str(raised.value)
    assert f" {key} - one object has this key twice" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1, "a": 1}', "#/"),
        ('[{"b": {"c" : 1, "c" : 2}}]', "#/0/b"),
        ('{"b":{"c"\n\t:1,"d":":","c"\r\n :2}}', "#/b"),
        ('{"a": {"k": 1, "\\u006b": 2}}', "#/a"),
        ('{"a": [{"x": "u\\u0022: v", "y": 1, "y": 2}]}', "#/a/0"),
        ('{"a": "\\u003a", "b": " : ", "c": {"": 1, "": 2}}', "#/c"),
    ],
)
def test_place__is_that_of_the_object(text: str, place: str) -> None:
    for data in (text, "[" + text + ", " + "0," * 20_000 + "0]"):  # a large document is counted in another way
        with pytest.raises(InputError, match="JSON_KEY_TWICE") as raised:
            parse_json(data.encode(), Path("x.json"))
        assert (raised.value.where or "").endswith(place if data is text else place.replace("#", "#/0").rstrip("/"))


@pytest.mark.parametrize(
    "text",
    ['{"a": "\\": ", "b": ":", "c\\":": {"a": 1}}', '{"a": {"x": 1}, "b": {"x": 1}}', '["a\\u0022: b", "\\u003a"]'],
)
def test_texts_that_look_like_keys__are_read(text: str) -> None:
    assert parse_json(text.encode(), Path("x.json")) == json.loads(text)


def test_deep_nesting__is_an_error_with_a_remedy() -> None:
    with pytest.raises(InputError, match="JSON_DEPTH"):
        parse_json(b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}", Path("x.json"))


def test_no_reader_parses_json_by_itself() -> None:
    """The check stands in one place, and where a file is walked in portions; writers parse again what a reader made."""
    formats = ROOT / "detect_transfer" / "formats"
    own = [p for p in formats.rglob("*.py") if "json.loads(" in p.read_text() and "writing" not in p.parts]
    assert {p.name for p in own} <= {"writer.py", "file_content.py", "portions.py"}


def test_every_key_of_a_manifest_of_videos__is_named(tmp_path: Path) -> None:
    root = Path(shutil.copytree(DATASETS / "sagemaker_video" / "sample", tmp_path / "sample"))
    path = root / "output.manifest"
    for key, text in with_one_twice(path.read_text(encoding="utf-8")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=f"JSON_KEY_TWICE .* {key} - "):
            get_format("sagemaker").read(root)
