"""Which format lies there: what proves one, what only hints at some."""

from pathlib import Path

import pytest

from detect_transfer.formats.recognition import likely, recognised


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        pytest.param(("manifest.json", "data.yaml"), "data_folder", id="ours-before-yolo"),
        pytest.param(("data.yaml",), "yolo", id="yolo"),
        pytest.param(("annotations/instances_val2017.json",), "coco", id="coco"),
        pytest.param(("images.parquet",), "parquet", id="parquet"),
        pytest.param(("Annotations/a.xml",), None, id="a-hint-is-no-proof"),
    ],
)
def test_recognised__by_what_proves_it(files: tuple[str, ...], kind: str | None, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert recognised(tmp_path) == kind


@pytest.mark.parametrize(("name", "kind"), [("a.JSON", "coco"), ("my.yml", "yolo"), ("a.txt", None)])
def test_recognised__a_file_by_its_suffix(name: str, kind: str | None) -> None:
    assert recognised(Path(name)) == kind


def test_likely__lists_all_that_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "video_0001.xml").touch()
    assert likely(tmp_path) == ["jaad", "voc"]
    assert likely(tmp_path / "a file that is not there") == ["jaad", "voc"]
