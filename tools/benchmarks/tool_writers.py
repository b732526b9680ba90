"""What annotation tools write is read by us, and what we write is read by them: the same boxes, by their own code.

    python tools/benchmarks/tool_writers.py [--python ENV/bin/python] [--only labelme globox ...]

The tools are not dependencies of the project: without --python an environment of its own is made in a temporary folder
and filled by pip. A small scene of whole pixels goes through every writer of each tool and back, and our own exports
through every reader. Printed is a line for each with the largest difference of an edge in pixels. Exit code 1: one
differs by more than half a pixel, or lost a box. FiftyOne needs a database server and is not among them; its layout is
that of COCO.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGES = ("labelme", "label-studio-sdk", "datumaro", "supervision", "globox")
LARGEST_PX = 0.5
Boxes = dict[str, list[list[Any]]]  # of the stem of an image: class and corners
SCENE: dict[str, tuple[tuple[int, int], list[list[Any]]]] = {
    "street": ((320, 240), [["car", 10, 20, 90, 80], ["stop sign", 200, 30, 230, 60], ["car", 0, 100, 320, 240]]),
    "night": ((200, 100), [["person", 50, 10, 70, 60]]),
    "corner": ((64, 48), [["person", 1, 1, 2, 3], ["stop sign", 60, 40, 64, 48]]),
}
SPLITS = {"train": ("corner", "street"), "val": ("night",)}
NAMES = ["car", "person", "stop sign"]
CONFIG = """<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">
<Label value="car"/><Label value="person"/><Label value="stop sign"/></RectangleLabels></View>"""


# ---- in the environment of the tools; imports stand inside, for each tool has its own ----


def write_labelme(root: Path, out: Path) -> dict[str, str]:
    """Write LabelMe JSON by LabelMe."""
    from labelme._label_file import LabelFile

    out.mkdir()
    for stem, ((width, height), boxes) in SCENE.items():
        image = out / f"{stem}.png"
        image.write_bytes((root / "images" / image.name).read_bytes())
        shapes = [
            {
                **{"label": label, "points": [box[:2], box[2:]], "shape_type": "rectangle", "group_id": None},
                **{"flags": {}, "description": "", "mask": None},
            }
            for label, *box in boxes
        ]
        LabelFile().save(str(out / f"{stem}.json"), shapes, image.name, height, width)
    return {"labelme": "."}


def write_label_studio(root: Path, out: Path) -> dict[str, str]:
    """Write tasks of Label Studio from COCO, and COCO, YOLO and VOC from tasks that we wrote."""
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.converter.imports.coco import convert_coco_to_ls

    (out / "json").mkdir(parents=True)
    convert_coco_to_ls(
        *(str(root / "scene.json"), str(out / "json" / "tasks.json")),
        out_type="annotations",
        image_root_url="/data/local-files/?d=images",
    )
    tasks = root / "ours" / "label_studio" / "tasks.json"
    converter = Converter(CONFIG, str(out), download_resources=False)
    for kind in ("coco", "yolo", "voc"):
        convert: Callable[..., Any] = getattr(converter, f"convert_to_{kind}")
        convert(str(tasks), str(out / kind), output_image_dir=str(out / kind / "images"), is_dir=False)
    return {"label_studio": "json", "coco": "coco/result.json", "yolo": "yolo", "voc": "voc"}


def write_datumaro(root: Path, out: Path) -> dict[str, str]:
    """Write the formats of Datumaro that we read."""
    from datumaro.components.dataset import Dataset

    data = Dataset.import_from(str(root / "coco"), "coco_instances")
    kinds = {
        **{"coco_instances": "coco", "voc_detection": "voc", "yolo": "darknet", "yolo_ultralytics": "yolo"},
        **{"cvat": "cvat", "datumaro": "datumaro", "kitti_detection": "kitti", "open_images": "openimages"},
        **{"label_me": "labelme_xml", "mot_seq_gt": "mot"},
    }
    written = {}
    for kind, form in kinds.items():
        if form in ("labelme_xml", "mot"):
            continue  # the old XML of LabelMe, and tracks of one class: no exchange of these boxes
        data.export(str(out / kind), kind, save_media=True)
        written[form] = kind
    return written


def write_supervision(root: Path, out: Path) -> dict[str, str]:
    """Write the formats of supervision."""
    import supervision

    data = supervision.DetectionDataset.from_coco(str(root / "images"), str(root / "scene.json"))
    for kind in ("coco", "yolo", "voc", "createml", "labelme"):
        (out / kind).mkdir(parents=True)
    data.as_coco(str(out / "coco" / "images"), str(out / "coco" / "annotations.json"))
    data.as_yolo(str(out / "yolo" / "images"), str(out / "yolo" / "labels"), str(out / "yolo" / "data.yaml"))
    data.as_pascal_voc(str(out / "voc" / "images"), str(out / "voc" / "annotations"))
    data.as_createml(str(out / "createml"), str(out / "createml" / "_annotations.createml.json"))
    data.as_labelme(str(out / "labelme"), str(out / "labelme"))
    return {kind: kind for kind in ("coco", "yolo", "voc", "createml", "labelme")}


def write_globox(root: Path, out: Path) -> dict[str, str]:
    """Write the formats of globox."""
    from globox import AnnotationSet

    data = AnnotationSet.from_coco(root / "scene.json")
    ids = {name: number for number, name in enumerate(NAMES)}
    for kind in ("coco", "yolo", "voc", "cvat", "labelme", "via", "openimages"):
        (out / kind).mkdir(parents=True)
    data.save_coco(out / "coco" / "a.json", label_to_id=ids, imageid_to_id={f"{s}.png": i for i, s in enumerate(SCENE)})
    data.save_yolo_v5(out / "yolo" / "labels", label_to_id=ids)
    (out / "yolo" / "data.yaml").write_text(f"train: images\nnames: {json.dumps(NAMES)}\n")
    data.save_pascal_voc(out / "voc" / "annotations")
    data.save_cvat(out / "cvat" / "annotations.xml")
    data.save_labelme(out / "labelme")
    data.save_via_json(out / "via" / "via.json", image_folder=root / "images")
    data.save_openimage(out / "openimages" / "train-annotations-bbox.csv")
    return {kind: kind for kind in ("coco", "yolo", "voc", "cvat", "labelme", "via", "openimages")}


def write_ultralytics(root: Path, out: Path) -> dict[str, str]:
    """Write YOLO labels from COCO by the converter of ultralytics."""
    from ultralytics.data.converter import convert_coco

    convert_coco(labels_dir=str(root / "coco" / "annotations"), save_dir=str(out), cls91to80=False)
    for split, stems in SPLITS.items():  # it copies no images
        (out / "images" / split).mkdir(parents=True)
        for stem in stems:
            (out / "images" / split / f"{stem}.png").write_bytes((root / "images" / f"{stem}.png").read_bytes())
    lines = [f"{split}: images/{split}\n" for split in SPLITS]
    (out / "data.yaml").write_text("".join(lines) + f"names: {json.dumps(NAMES)}\n")
    return {"yolo": "."}


def read_datumaro(kind: str, path: Path) -> Boxes:
    """Read what we wrote by Datumaro."""
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    names = {"coco": "coco_instances", "cvat": "cvat", "datumaro": "datumaro", "voc": "voc"}
    if kind == "cvat":  # it wants the images, and a file for each subset that is called after it
        whole, path = path / "annotations.xml", path.parent / "cvat_of_splits"
        path.mkdir()
        (path / "images").symlink_to(path.parent / "images")
        for split in SPLITS:
            (path / f"{split}.xml").write_bytes(whole.read_bytes())
    data = Dataset.import_from(str(path), names[kind])
    labels = data.categories()[AnnotationType.label]
    return {
        Path(item.id).name: [
            [labels[each.label].name, each.x, each.y, each.x + each.w, each.y + each.h]
            for each in item.annotations
            if each.type == AnnotationType.bbox
        ]
        for item in data
    }


def read_supervision(kind: str, path: Path) -> Boxes:
    """Read what we wrote by supervision."""
    import supervision

    reader, boxes = supervision.DetectionDataset, {}
    for split in SPLITS:
        if kind == "coco":
            places = path / "images" / split, path / "annotations" / f"instances_{split}.json"
            data = reader.from_coco(*map(str, places))
        elif kind == "yolo":
            data = reader.from_yolo(*(str(path / part) for part in (f"images/{split}", f"labels/{split}", "data.yaml")))
        else:
            data = reader.from_pascal_voc(str(path / "JPEGImages" / split), str(path / "Annotations" / split))
        for name, _, found in data:
            pairs = zip(found.class_id, found.xyxy.tolist(), strict=True)
            boxes[Path(name).stem] = [[data.classes[number], *box] for number, box in pairs]
    return boxes


def read_globox(kind: str, path: Path) -> Boxes:
    """Read what we wrote by globox."""
    from globox import AnnotationSet

    names, boxes = dict(enumerate(NAMES)), {}
    for split in SPLITS:
        if kind == "coco":
            data = AnnotationSet.from_coco(path / "annotations" / f"instances_{split}.json")
        elif kind == "yolo":
            data = AnnotationSet.from_yolo_v5(
                path / "labels" / split, image_folder=path / "images" / split, image_extension=".png"
            )
        elif kind == "cvat":
            data = AnnotationSet.from_cvat(path / "annotations.xml")
        else:
            data = AnnotationSet.from_pascal_voc(path / "Annotations" / split)
        for each in data:
            boxes[Path(each.image_id).stem] = [
                [names[int(box.label)] if kind == "yolo" else box.label, box.xmin, box.ymin, box.xmax, box.ymax]
                for box in each.boxes
            ]
    return boxes


def read_ultralytics(kind: str, path: Path) -> Boxes:
    """Read our YOLO labels by the data set of ultralytics."""
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(str(path / "data.yaml"))
    boxes: Boxes = {}
    sets = (YOLODataset(img_path=data[split], data=data, imgsz=64, augment=False) for split in SPLITS)
    for each in (label for data_set in sets for label in data_set.labels):
        height, width = each["shape"]
        rows = zip(each["cls"][:, 0].tolist(), each["bboxes"].tolist(), strict=True)
        boxes[Path(each["im_file"]).stem] = [
            [NAMES[int(c)], (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
            for c, (x, y, w, h) in rows
        ]
    return boxes


WRITE: dict[str, Callable[[Path, Path], dict[str, str]]] = {
    "labelme": write_labelme,
    "label_studio": write_label_studio,
    "datumaro": write_datumaro,
    "supervision": write_supervision,
    "globox": write_globox,
    "ultralytics": write_ultralytics,
}
READ: dict[str, tuple[Callable[[str, Path], Boxes], tuple[str, ...]]] = {
    "datumaro": (read_datumaro, ("coco", "datumaro", "cvat", "voc")),
    "supervision": (read_supervision, ("coco", "yolo", "voc")),
    "globox": (read_globox, ("coco", "yolo", "voc", "cvat")),
    "ultralytics": (read_ultralytics, ("yolo",)),
}
# Our VOC counts from 1, as its devkit does. globox and Datumaro count from 0. Label Studio's converter cuts off the
# fractions of positions and sizes.
KNOWN_PX = {(tool, "voc", "we write"): 1.0 for tool in ("globox", "datumaro")} | {
    ("label_studio", "voc", "they write"): 1.0
}
OURS = {"coco": ".", "yolo": ".", "voc": "voc", "cvat": "cvat", "datumaro": "datumaro"}


# ---- in the environment of the project ----


def make_scene(root: Path) -> None:
    """Draw the images, and write the boxes as COCO: as a file beside them, and as a folder."""
    from PIL import Image

    (root / "images").mkdir()
    images, annotations = [], []
    for image_id, (stem, ((width, height), boxes)) in enumerate(SCENE.items(), start=1):
        Image.new("RGB", (width, height), (90, 120, 150)).save(root / "images" / f"{stem}.png")
        images.append({"id": image_id, "file_name": f"{stem}.png", "width": width, "height": height})
        for label, x1, y1, x2, y2 in boxes:
            size = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0, "segmentation": []}
            annotation = {"id": len(annotations) + 1, "image_id": image_id, "category_id": NAMES.index(label) + 1}
            annotations.append({**annotation, **size})
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(NAMES, start=1)]
    (root / "coco" / "annotations").mkdir(parents=True)
    for split, stems in {"": tuple(SCENE), **SPLITS}.items():
        chosen = [image for image in images if Path(image["file_name"]).stem in stems]
        ids = {image["id"] for image in chosen}
        boxes = [annotation for annotation in annotations if annotation["image_id"] in ids]
        path = root / "coco" / "annotations" / f"instances_{split}.json" if split else root / "scene.json"
        path.write_text(json.dumps({"images": chosen, "annotations": boxes, "categories": categories}))
    (root / "coco" / "images").symlink_to(root / "images")
    command = [sys.executable, "-m", "detect_transfer", "convert", "coco", str(root / "coco")]
    targets = ",".join((*OURS, "label_studio"))
    subprocess.run([*command, "--to", targets, "--out", str(root / "ours")], check=True, stdout=subprocess.DEVNULL)


def read_by_us(form: str, path: Path, images: Path) -> Boxes:
    """Read what a tool wrote; its images are looked for beside it, else where the scene has them."""
    from detect_transfer.core.annotations import XYXY
    from detect_transfer.formats import READERS

    folder = path if path.is_dir() else path.parent
    if not any(folder.rglob("*.png")):
        beside = folder if form == "labelme" else folder / "images"
        beside.mkdir(exist_ok=True)
        for image in images.iterdir():
            (beside / image.name).write_bytes(image.read_bytes())
    table = READERS[form].read(path)
    stems = {number: Path(name).stem for number, name in table.images.select("image_id", "file_name").rows()}
    classes = dict(table.categories.select("category_id", "name").rows())
    boxes: Boxes = {stem: [] for stem in stems.values()}
    for image, category, *corners in table.boxes.select("image_id", "category_id", *XYXY).rows():
        boxes[stems[image]].append([classes[category], *corners])
    return boxes


def difference(boxes: Boxes) -> float | str:
    """Return the largest difference of an edge from the scene in pixels, or what is missing, in words."""
    largest = 0.0
    for stem, (_, expected) in SCENE.items():
        given = sorted(boxes.get(stem, []))
        if [box[0] for box in given] != [box[0] for box in sorted(expected)]:
            return f"{stem}: {len(given)} boxes of {sorted({box[0] for box in given})}, expected {len(expected)}"
        pairs = zip(given, sorted(expected), strict=True)
        largest = max([largest, *(abs(a - b) for one, other in pairs for a, b in zip(one[1:], other[1:], strict=True))])
    return largest


def run_worker(python: str, words: list[str]) -> Any:
    """Run a function of a tool in its environment and return what it gave, or the last line of its error."""
    done = subprocess.run([python, __file__, "--worker", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it failed"])[-1]
    return json.loads(done.stdout.strip().splitlines()[-1])


def work(words: list[str]) -> None:
    """Do what the worker was asked, and print what it gave."""
    if words[0] == "write":
        result: Any = WRITE[words[1]](Path(words[2]), Path(words[3]))
    else:
        result = READ[words[1]][0](words[2], Path(words[3]))
    print(json.dumps(result))


def main() -> int:
    """Compare all tools."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="the Python of an environment that has the tools")
    parser.add_argument("--only", nargs="*", default=list(WRITE), choices=list(WRITE))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, python = Path(folder).resolve(), args.python
        if python is None:
            venv.create(root / "env", with_pip=True)
            python = str(root / "env" / "bin" / "python")
            subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        make_scene(root)
        lines: list[tuple[str, str, str, float | str]] = []
        for tool in args.only:
            home = sys.executable if tool == "ultralytics" else python
            written = run_worker(home, ["write", tool, str(root), str(root / tool)])
            if not isinstance(written, dict):
                lines.append((tool, "all", "they write", written))
                continue
            for form, place in written.items():
                try:
                    found: float | str = difference(read_by_us(form, root / tool / place, root / "images"))
                except Exception as error:  # noqa: BLE001 - the other tools go on
                    found = str(error).splitlines()[0]
                lines.append((tool, form, "they write", found))
            for form in READ[tool][1] if tool in READ else ():
                read = run_worker(home, ["read", tool, form, str(root / "ours" / OURS[form])])
                lines.append((tool, form, "we write", difference(read) if isinstance(read, dict) else read))
        for tool, form, direction, found in lines:
            print(f"{tool:13} {form:13} {direction:11} {found if isinstance(found, str) else f'{found:.3f} px'}")
        wrong = [line for line in lines if isinstance(line[3], str) or line[3] > KNOWN_PX.get(line[:3], LARGEST_PX)]
        print(f"{len(lines) - len(wrong)} of {len(lines)} alike")
        return int(bool(wrong))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2:])
    else:
        sys.exit(main())
