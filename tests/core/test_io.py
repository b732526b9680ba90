"""Files: whole or not at all, and inside their folder."""

import errno
import os
from pathlib import Path

import pytest

from detect_transfer.core import io, listing
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.written_links import links_within


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "C:\\x", "C:x", "a\\b", "", "a\0b", "\\\\host\\x", ".."]
)
def test_safe_join__refuses_what_leads_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="PATH_OUTSIDE") as caught:
        io.safe_join(tmp_path, name, where="labels.json#/images/3")
    assert "labels.json#/images/3" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_safe_join__follows_no_link_out_unless_links_are_wished(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.txt").symlink_to(outside)
    with pytest.raises(InputError, match="PATH_OUTSIDE"):
        io.safe_join(root, "link.txt")
    assert io.safe_join(root, "link.txt", links=True).read_text() == "x"
    assert io.safe_join(root, "ünï/ a,b.png") == root / "ünï/ a,b.png"


def test_write_atomic__keeps_the_old_file_when_the_disk_is_full(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.json"
    io.write_atomic(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(io.os, "fsync", full)
    with pytest.raises(ResourceError, match=r"DISK_FULL .*a\.json") as caught:
        io.write_atomic(path, "new")
    assert caught.value.exit_code == 3
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_new_folder__appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def fail(building: Path) -> None:
        (building / "half.txt").write_text("x")
        raise RuntimeError

    with pytest.raises(RuntimeError), io.new_folder(out) as building:
        fail(building)
    assert list(tmp_path.iterdir()) == []
    with io.new_folder(out) as building:
        (building / "whole.txt").write_text("x")
        assert not out.exists()
    assert [p.name for p in out.iterdir()] == ["whole.txt"]
    with pytest.raises(InputError, match="OUT_NOT_EMPTY"), io.new_folder(out):
        pass


def test_read_json__tells_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1,\n "b": [1, 2')
    with pytest.raises(InputError, match=r"JSON_SYNTAX .*a\.json:2 - .*column"):
        io.read_json(path)
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert io.read_json(path) == {"a": 1}


@pytest.mark.parametrize("data", [b"\xff\xfea\0b\0", b"abc\xff", b"a\0b"])
def test_read_text__refuses_what_is_no_utf8_text(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match="TEXT_ENCODING"):
        io.read_text(path)


def test_list_files__ends_in_a_loop_of_links_and_skips_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.PNG").write_text("")
    (tmp_path / ".hidden.png").write_text("")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert io.list_files(tmp_path, (".png",)) == ["a/x.PNG"]


def test_list_files__lists_a_folder_that_a_link_leads_to_by_the_link_alone(tmp_path: Path) -> None:
    (tmp_path / "set" / "v2").mkdir(parents=True)
    (tmp_path / "set" / "v2" / "x.png").write_text("")
    (tmp_path / "set" / "v2" / "up").symlink_to("../images")
    (tmp_path / "set" / "images").symlink_to("v2")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "y.png").write_text("")
    (tmp_path / "set" / "out").symlink_to("../other")
    assert io.list_files(tmp_path / "set", (".png",)) == ["images/x.png"]
    with links_within(tmp_path):
        assert io.list_files(tmp_path / "set", (".png",)) == ["images/x.png", "out/y.png"]


def test_list_files__keeps_the_folder_that_names_a_split_and_not_a_link_that_names_none(tmp_path: Path) -> None:
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "x.png").write_text("")
    (tmp_path / "current").symlink_to("images/train")
    assert io.list_files(tmp_path, (".png",)) == ["images/train/x.png"]
    (tmp_path / "again").symlink_to("images")
    assert io.list_files(tmp_path, (".png",)) == ["again/train/x.png"]


def test_list_files__follows_links_in_links_and_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store" / "in").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.png").write_text("")
    (tmp_path / "store" / "in" / "more").symlink_to("../../other")
    (tmp_path / "a").symlink_to("store/in")
    assert io.list_files(tmp_path, (".png",)) == ["a/more/x.png"]
    for number in range(20):
        folder = tmp_path / "bomb" / str(number)
        folder.mkdir(parents=True)
        for name in ("a", "b"):
            (folder / name).symlink_to(f"../{number + 1}")
    monkeypatch.setattr(listing, "_MOST_LINKS", 100)
    with pytest.raises(InputError, match="LINKS_MANY"):
        io.list_files(tmp_path, (".png",))


def test_list_files__leaves_out_what_convert_wrote_below_it(tmp_path: Path) -> None:
    written = tmp_path / "mine"
    (written / "images").mkdir(parents=True)
    (written / "images" / "x.png").write_text("")
    (tmp_path / "a.png").write_text("")
    assert io.list_files(tmp_path, (".png",)) == ["a.png", "mine/images/x.png"]
    for name in ("ledger.json", "manifest.json"):
        (written / name).write_text("{}")
    assert io.list_files(tmp_path, (".png",)) == ["a.png"]
    assert io.list_files(tmp_path, (".png",), into_written=True) == ["a.png", "mine/images/x.png"]
    assert io.list_files(written, (".png",)) == ["images/x.png"]


def test_list_files__tells_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ResourceError, match=r"FOLDER_UNREADABLE .*locked - Permission denied"):
        io.list_files(tmp_path, (".png",))


def test_safe_join__refuses_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("a.png")
    with pytest.raises(InputError, match="PATH_OUTSIDE"):
        io.safe_join(tmp_path, "a.png")
