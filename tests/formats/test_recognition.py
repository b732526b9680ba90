"""Which format lies there: what proves one, what only hints at some."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from paths import DATASETS

from detect_transfer.core.errors import InputError
from detect_transfer.data.reading import recognise
from detect_transfer.formats import READERS, get_format
from detect_transfer.formats import recognition as recognition_module
from detect_transfer.formats.recognition import best_guess, likely, nearby, only_published, recognised, recognition


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        pytest.param(
            ("manifest.json", "data.yaml", "annotations/instances_val.json"), "data_folder", id="ours-before-yolo"
        ),
        pytest.param(("manifest.json", "data.yaml"), "yolo", id="ours-without-coco"),
        pytest.param(("data.yaml",), "yolo", id="yolo"),
        pytest.param(("obj.data", "labels/a.txt"), "darknet", id="darknet"),
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


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        *[(name, name) for name in ("createml", "darwin", "datumaro", "label_studio", "labelme")],
        *[("via_project", "via"), ("via_json", "via"), ("yolo", "yolo"), ("coco", "coco"), ("kitti", None)],
    ],
)
def test_recognition__by_the_keys_of_a_file(folder: str, kind: str | None) -> None:
    known = recognition(DATASETS / folder / "sample")
    assert (known and known.format) == kind


COCO = '{"images": [], "annotations": [], "categories": []}'


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("annotations.json", COCO, "coco"),
        ("train/_annotations.coco.json", COCO, "coco"),
        ("annotations/my.json", COCO, "coco"),
        ("annotations/person_keypoints_train.json", COCO, "coco"),
        ("nightowls_training.json", COCO, None),
        ("train.xml", "<?xml version='1.0'?>\n<annotations><version>1.1</version></annotations>", "cvat"),
        ("annotations/video_0001.xml", "<annotations></annotations>", None),
        ("Annotations/a.xml", "\n<!-- made by hand --><annotation></annotation>", "voc"),
        ("boxes.csv", "filename;class;xmin;ymin;xmax;ymax\n", "csv"),
        ("boxes.csv", "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n", "openimages"),
        ("boxes.csv", "filename,size\n", None),
        ("notes.json", '{"categories": [{"id": 0, "name": "car"}], "info": {"year": 2026}}', "yolo"),
    ],
)
def test_recognition__by_what_a_file_says(name: str, content: str, kind: str | None, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content, encoding="utf-8")
    known = recognition(tmp_path)
    assert (known and known.format) == kind
    if known is not None and known.format != "coco":
        assert recognition(tmp_path / name) == replace(known, evidence=known.evidence.replace(name, Path(name).name))


@pytest.mark.parametrize("name", ["dfg", "mtsd", "nightowls", "supervisely", "tt100k", "jaad", "bdd100k", "eurocity"])
def test_only_published__beside_hints_of_tools(name: str) -> None:
    known = only_published(DATASETS / name / "sample")
    assert known is not None
    assert (known.format, known.evidence.startswith("it holds ")) == (name, True)
    assert only_published(DATASETS / "coco_lenient" / "sample") is None


def test_recognition__never_names_another_format_than_the_card_of_a_sample() -> None:
    for folder in sorted(DATASETS.iterdir()):
        known = recognition(folder / "sample")
        kind = yaml.safe_load((folder / "dataset.yaml").read_text(encoding="utf-8"))["format"]
        assert known is None or known.format == kind, folder.name
        assert kind in READERS


@pytest.mark.parametrize("folder", sorted(path.name for path in DATASETS.iterdir()))
def test_recognition__of_a_folder_above_or_below_names_no_other_format(folder: str, tmp_path: Path) -> None:
    sample = DATASETS / folder / "sample"
    kind = yaml.safe_load((sample.parent / "dataset.yaml").read_text(encoding="utf-8"))["format"]
    (tmp_path / "in").symlink_to(sample)
    for path in (tmp_path, *(child for child in sample.iterdir() if child.is_dir())):
        shown = best_guess(path)
        # what that of LLVIP is called tells nothing, and without images its reader ends
        assert shown is None or shown.format == kind or (folder, path.name) == ("llvip", "Annotations"), path


def test_nearby__what_lies_in_a_folder_beside_says_nothing_of_the_one_above(tmp_path: Path) -> None:
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "a.json").write_text(COCO)
    (tmp_path / "mine" / "a.txt").touch()
    assert nearby(tmp_path / "mine") is None
    (tmp_path / "a.json").write_text(COCO)
    assert nearby(tmp_path / "mine") == (tmp_path, recognition(tmp_path))


@pytest.mark.parametrize("beside", [True, False])
def test_folder__that_is_called_as_a_part_of_a_set_is_whole_with_images_of_its_own(
    beside: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "xml"
    folder.mkdir()
    (folder / "a.xml").write_text("<annotation></annotation>")
    (folder / ("a.jpg" if beside else "a.txt")).touch()
    shown = recognition(folder)
    assert (shown and shown.format) == ("voc" if beside else None)
    near = nearby(folder)
    assert near is not None
    assert near[1].format == "cctsdb"


def test_nearby__offers_the_folder_a_level_below_or_above() -> None:
    below = nearby(DATASETS / "createml")
    assert below is not None
    assert (below[0].name, below[1].format) == ("sample", "createml")
    above = nearby(DATASETS / "yolo" / "sample" / "images")
    assert above is not None
    assert above[1].format == "yolo"


CSV = "image,x1,y1,x2,y2\na.png,1,1,2,2\n"


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        pytest.param({"a.png": "", "a.txt": "0 .5 .5 .1 .1\n", "classes.txt": "dog\n"}, "yolo", id="labelimg"),
        pytest.param({"a.png": "", "a.txt": "a word\n"}, None, id="other-texts"),
        pytest.param({"a.png": "", "a.txt": "0 .5 .5 .1 .1\n", "b.csv": CSV.replace("a.png", "7")}, "yolo", id="stray"),
        pytest.param({"a.png": "", "b.csv": CSV}, "csv", id="csv-without-a-class"),
        pytest.param({"b.csv": CSV}, "csv", id="csv-without-images"),
    ],
)
def test_recognised__texts_and_tables_beside_images(files: dict[str, str], kind: str | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert recognised(tmp_path) == kind


def test_images_alone__are_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"1 images and no annotations") as caught:
        recognise(tmp_path)
    assert "voc" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "message"),
    [("Images/00000/GT-00000.csv", "crops that show one sign"), ("data/train-00000-of-00001.parquet", "unpack")],
)
def test_what_no_reader_reads__is_told_why(file: str, message: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    with pytest.raises(InputError, match=message):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("start", "message"), [(b"PK\x03\x04", "ZIP archive; unpack it"), (b"\x1f\x8b", "gzip archive")]
)
def test_archive__is_to_be_unpacked_first(start: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(start + b"\0" * 99)
    with pytest.raises(InputError, match=message):
        recognise(tmp_path / "data.zip")


@pytest.mark.parametrize(
    ("name", "message"), [("GTSRB", "crops of single"), ("tfrecord", "unpack"), ("crowdpose", "write coco")]
)
def test_names_of_sets_without_a_reader__have_advice(name: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"FORMAT_UNKNOWN .*{message}"):
        get_format(name)


def test_nearby__leaves_what_cannot_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "going").mkdir()
    (tmp_path / "in" / "data.yaml").write_text("")
    look = recognition_module.recognition

    def look_at_what_is_going(path: Path) -> object:
        if path.name == "going":
            raise FileNotFoundError(path)
        return look(path)

    monkeypatch.setattr(recognition_module, "recognition", look_at_what_is_going)
    near = nearby(tmp_path)
    assert near is not None
    assert near[0].name == "in"
