"""The generated sets of the benchmarks are what they say: every box that is written is read."""

import sys

import pytest
from paths import BENCHMARKS

from detect_transfer.formats import get_format

sys.path.append(str(BENCHMARKS))
import readers_speed


@pytest.mark.parametrize("name", sorted(readers_speed.CASES))
def test_native_set__holds_as_many_boxes_as_asked_for(name, tmp_path):
    case = readers_speed.CASES[name]
    case.write(tmp_path, 57)
    root = tmp_path / "instances.json" if name == "coco" else tmp_path
    table = get_format(name).read(root, **case.options)
    assert len(table.boxes) == 57
    assert not [line for line in table.reading if line.action == "dropped"]
