"""Native data sets of random boxes, of any size, for the benchmarks: a writer for each of several formats.

The images are headers alone, since readers look at no more than the size; where a reader can do without, there are
none. The same number of boxes gives the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detect_transfer.data.round_trip import png_header

PER_IMAGE = 10
N_CLASSES = 40
WIDTH, HEIGHT = 1600, 1200

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Boxes:
    """Random boxes: the image of each (N,), its class (N,), and whole corners (N, 4), sorted by image."""

    image: IntArray
    category: IntArray
    xyxy: IntArray

    @property
    def n_images(self) -> int:
        """How many images there are."""
        return int(self.image[-1]) + 1

    def rows(self) -> list[tuple[int, int, int, int, int, int]]:
        """Return (image, category, x1, y1, x2, y2) of each."""
        return list(zip(self.image.tolist(), self.category.tolist(), *self.xyxy.T.tolist(), strict=True))

    def by_image(self) -> list[list[tuple[int, int, int, int, int]]]:
        """Return (category, x1, y1, x2, y2) of the boxes of each image."""
        boxes: list[list[tuple[int, int, int, int, int]]] = [[] for _ in range(self.n_images)]
        for image, *rest in self.rows():
            boxes[image].append(tuple(rest))  # type: ignore[arg-type]
        return boxes


def make_boxes(n: int, *, per_image: int = PER_IMAGE, seed: int = 0) -> Boxes:
    """Make random boxes inside images of one size."""
    rng = np.random.default_rng(seed)
    low = rng.integers(1, (WIDTH - 400, HEIGHT - 400), size=(n, 2))
    return Boxes(
        np.arange(n) // per_image, rng.integers(0, N_CLASSES, n), np.hstack([low, low + rng.integers(4, 300, (n, 2))])
    )


def write_coco(root: Path, n: int) -> None:
    """Write one instances file."""
    boxes = make_boxes(n)
    document = {
        "images": [
            {"id": i, "file_name": f"{i:012d}.jpg", "width": WIDTH, "height": HEIGHT}
            for i in range(1, boxes.n_images + 1)
        ],
        "annotations": [
            {
                "id": i,
                "image_id": image + 1,
                "category_id": category + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            for i, (image, category, x1, y1, x2, y2) in enumerate(boxes.rows(), start=1)
        ],
        "categories": [{"id": i + 1, "name": f"class {i:02d}", "supercategory": "thing"} for i in range(N_CLASSES)],
    }
    (root / "instances.json").write_text(json.dumps(document))


def write_gtsdb(root: Path, n: int) -> None:
    """Write gt.txt and its 900 scenes, however many boxes each has."""
    boxes = make_boxes(n, per_image=max(1, -(-n // 900)))
    rows = (f"{i:05d}.ppm;{x1};{y1};{x2};{y2};{c}\n" for i, c, x1, y1, x2, y2 in boxes.rows())
    (root / "gt.txt").write_text("".join(rows))
    for i in range(boxes.n_images):
        write_image(root / f"{i:05d}.png")


def write_lisa(root: Path, n: int) -> None:
    """Write allAnnotations.csv."""
    head = (
        "Filename;Annotation tag;Upper left corner X;Upper left corner Y;Lower right corner X;Lower right corner Y;"
        "Occluded,On another road;Origin file;Origin frame number;Origin track;Origin track frame number\n"
    )
    rows = (
        f"vid{i % 9}/annotations/frame_{i}.avi_image0.png;sign{c:02d};{x1};{y1};{x2};{y2};"
        f"0,0;vid{i % 9}/v.avi;{i};t_{i}.avi;2\n"
        for i, c, x1, y1, x2, y2 in make_boxes(n).rows()
    )
    (root / "allAnnotations.csv").write_text(head + "".join(rows))


def write_mot(root: Path, n: int) -> None:
    """Write one sequence of MOT17Det."""
    home = root / "train" / "MOT17-02"
    (home / "gt").mkdir(parents=True)
    boxes = make_boxes(n)
    size = f"imWidth={WIDTH}\nimHeight={HEIGHT}\nimExt=.jpg\n"
    info = f"[Sequence]\nname=MOT17-02\nimDir=img1\nframeRate=30\nseqLength={boxes.n_images}\n{size}"
    (home / "seqinfo.ini").write_text(info)
    rows = (
        f"{i + 1},{k},{x1},{y1},{x2 - x1},{y2 - y1},1,1,0.75\n" for k, (i, _, x1, y1, x2, y2) in enumerate(boxes.rows())
    )
    (home / "gt" / "gt.txt").write_text("".join(rows))


def write_rtsd(root: Path, n: int) -> None:
    """Write full-gt.csv."""
    rows = (
        f"autosave{i:07d}.jpg,{x1},{y1},{x2 - x1},{y2 - y1},{c // 8 + 1}_{c % 8 + 1},{i}\n"
        for i, c, x1, y1, x2, y2 in make_boxes(n).rows()
    )
    (root / "full-gt.csv").write_text("filename,x_from,y_from,width,height,sign_class,sign_id\n" + "".join(rows))


def write_voc(root: Path, n: int) -> None:
    """Write an XML for each image, and the images."""
    for folder in ("Annotations", "JPEGImages"):
        (root / folder).mkdir()
    for i, objects in enumerate(make_boxes(n).by_image()):
        parts = "".join(
            f"<object><name>class{c:02d}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult><bndbox>"
            f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for c, x1, y1, x2, y2 in objects
        )
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        text = f"<annotation><folder>a</folder><path>a</path><filename>{i:06d}.png</filename>{size}{parts}</annotation>"
        (root / "Annotations" / f"{i:06d}.xml").write_text(text)
        write_image(root / "JPEGImages" / f"{i:06d}.png")


def write_bdd(root: Path, n: int) -> None:
    """Write a JSON for each frame, as the labels of 2018 by frames have it."""
    home = root / "labels" / "100k" / "train"
    home.mkdir(parents=True)
    for i, objects in enumerate(make_boxes(n).by_image()):
        labels = [
            {
                "category": "car",
                "attributes": {"occluded": False, "truncated": False, "trafficLightColor": "none"},
                "id": k,
                "box2d": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
            }
            for k, (_, x1, y1, x2, y2) in enumerate(objects)
        ]
        attributes = {"weather": "clear", "scene": "highway", "timeofday": "daytime"}
        frame = {
            "name": f"{i:08x}-{i:08x}",
            "frames": [{"timestamp": 10000, "objects": labels}],
            "attributes": attributes,
        }
        (home / f"{i:08x}-{i:08x}.json").write_text(json.dumps(frame))


def write_mtsd(root: Path, n: int) -> None:
    """Write a JSON for each image of Mapillary traffic signs."""
    (root / "annotations").mkdir()
    (root / "splits").mkdir()
    per_image = make_boxes(n).by_image()
    for i, objects in enumerate(per_image):
        signs = [
            {
                "key": f"k{i}_{k}",
                "label": f"regulatory--sign-{c:02d}--g1",
                "bbox": {"xmin": x1, "ymin": y1, "xmax": x2, "ymax": y2},
                "properties": dict.fromkeys(
                    (
                        "barrier",
                        "occluded",
                        "out-of-frame",
                        "exterior",
                        "ambiguous",
                        "included",
                        "direction-or-information",
                    ),
                    False,
                ),
            }
            for k, (c, x1, y1, x2, y2) in enumerate(objects)
        ]
        content = {"width": WIDTH, "height": HEIGHT, "ispano": False, "objects": signs}
        (root / "annotations" / f"p{i:06d}.json").write_text(json.dumps(content))
    (root / "splits" / "train.txt").write_text("".join(f"p{i:06d}\n" for i in range(len(per_image))))


def write_labelme(root: Path, n: int) -> None:
    """Write a JSON beside each image."""
    for i, objects in enumerate(make_boxes(n).by_image()):
        shapes = [
            {
                "label": f"class{c:02d}",
                "points": [[x1, y1], [x2, y2]],
                "group_id": None,
                "shape_type": "rectangle",
                "flags": {},
            }
            for c, x1, y1, x2, y2 in objects
        ]
        content = {
            **{"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": f"{i:06d}.png", "imageData": None},
            **{"imageHeight": HEIGHT, "imageWidth": WIDTH},
        }
        (root / f"{i:06d}.json").write_text(json.dumps(content))
        write_image(root / f"{i:06d}.png")


def write_yolo(root: Path, n: int) -> None:
    """Write a label file for each image, and the images."""
    for folder in ("images/train", "labels/train"):
        (root / folder).mkdir(parents=True)
    for i, objects in enumerate(make_boxes(n).by_image()):
        rows = (
            f"{c} {(x1 + x2) / 2 / WIDTH:.6f} {(y1 + y2) / 2 / HEIGHT:.6f} "
            f"{(x2 - x1) / WIDTH:.6f} {(y2 - y1) / HEIGHT:.6f}\n"
            for c, x1, y1, x2, y2 in objects
        )
        (root / "labels/train" / f"{i:06d}.txt").write_text("".join(rows))
        write_image(root / "images/train" / f"{i:06d}.png")
    names = ", ".join(f"class{i:02d}" for i in range(N_CLASSES))
    (root / "data.yaml").write_text(f"train: images/train\nnames: [{names}]\n")


def write_image(path: Path) -> None:
    """Write an image that is a header alone: readers look at its size."""
    path.write_bytes(png_header(WIDTH, HEIGHT))
