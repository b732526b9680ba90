"""F35: an element that stands twice where one belongs changes the class or the box, so it is an error."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paths import DATASETS
from PIL import Image

FILE = """<annotation><filename>0.png</filename>
<size><width>64</width><height>48</height></size><object>
<name>car</name><difficult>0</difficult><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>40</xmax><ymax>40</ymax></bndbox></object></annotation>
"""


@pytest.mark.parametrize(
    ("element", "twin", "where"),
    [
        ("<name>car</name>", "<name>dog</name>", "#object[1] name"),
        ("<difficult>0</difficult>", "<difficult>1</difficult>", "#object[1] difficult"),
        ("<xmin>5</xmin>", "<xmin>9</xmin>", "#object[1] xmin"),
        ("<width>64</width>", "<width>32</width>", "#size width"),
        ("<filename>0.png</filename>", "<filename>1.png</filename>", " filename"),
        ("<size>", "<size><width>32</width><height>9</height></size>", " size"),
    ],
)
def test_element__that_stands_twice_is_an_error(
    tmp_path: Path, command: Callable[..., Any], element: str, twin: str, where: str
) -> None:
    for folder in ("Annotations", "JPEGImages"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(tmp_path / "set" / "JPEGImages" / "0.png")
    path = tmp_path / "set" / "Annotations" / "0.xml"
    path.write_text(FILE)
    assert command("check", tmp_path / "set", "--format", "voc").code == 0
    path.write_text(FILE.replace(element, twin + element))
    ended = command("check", tmp_path / "set", "--format", "voc")
    assert (ended.code, f"XML_TWICE {path}{where} - it stands twice" in ended.err) == (2, True), ended


@pytest.mark.parametrize(
    ("name", "format", "file", "element", "twin"),
    [
        ("kaist", "kaist", "I00000.xml", "<name>", "<name>cyclist</name>"),
        ("kaist", "kaist", "I00000.xml", "<x>", "<x>1</x>"),
        ("kaist", "kaist", "I00000.xml", "<bndbox>", "<bndbox><x>1</x><y>1</y><w>9</w><h>9</h></bndbox>"),
        ("tud_brussels", "idl", "TUD-Brussels-test.al", "<x1>", "<x1>1</x1>"),
    ],
)
def test_element_of_other_forms__that_stands_twice_is_an_error(
    tmp_path: Path, command: Callable[..., Any], name: str, format: str, file: str, element: str, twin: str
) -> None:
    shutil.copytree(DATASETS / name / "sample", tmp_path / "set")
    path = next(iter(sorted((tmp_path / "set").rglob(file))))
    path.write_text(path.read_text().replace(element, twin + element, 1))
    ended = command("check", tmp_path / "set", "--format", format)
    assert (ended.code, f"XML_TWICE {path}" in ended.err) == (2, True), ended
