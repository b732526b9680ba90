"""The readers of native annotation formats: each module has one `read(root, *, ...) -> AnnotationTable`.

A reader marks and never drops: everything in the native files is in the table, or reading ends with an error that names
the place. Boxes become `xyxy` by the constant convention of the format; they are not clipped, merged or removed here.
To add a format: a module in its group, a line in `FORMATS` of the group, a folder in `datasets/`.
"""

from __future__ import annotations

import re

from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.written_links import MANIFEST
from detect_transfer.formats.coco import data_folder
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.coco.reader import scan as scan_coco
from detect_transfer.formats.cvat.reader import read as read_cvat
from detect_transfer.formats.format import BOTH, CLASSES
from detect_transfer.formats.format import Format as Format
from detect_transfer.formats.format import Option as Option
from detect_transfer.formats.parquet.reader import read as read_parquet
from detect_transfer.formats.parquet.reader import scan as scan_parquet
from detect_transfer.formats.pedestrians.registry import FORMATS as PEDESTRIANS
from detect_transfer.formats.tools.registry import FORMATS as TOOLS
from detect_transfer.formats.traffic_lights.registry import FORMATS as TRAFFIC_LIGHTS
from detect_transfer.formats.traffic_signs.registry import FORMATS as TRAFFIC_SIGNS
from detect_transfer.formats.voc.reader import read as read_voc
from detect_transfer.formats.yolo import darknet
from detect_transfer.formats.yolo.reader import read as read_yolo

GENERAL: dict[str, Format] = {
    "data_folder": Format(
        data_folder.read,
        "a data folder that convert wrote",
        proof=MANIFEST,
        numbers=BOTH,
        scanner=data_folder.scan,
    ),
    "yolo": Format(
        read_yolo,
        "YOLO label files listed by a data.yaml",
        proof="data.yaml",
        hints="labels */labels",
        numbers=CLASSES,
    ),
    "coco": Format(
        read_coco,
        "COCO instances JSON, one file or annotations/instances_<split>.json",
        proof="annotations/instances_*.json annotations/person_keypoints_*.json",
        hints="*.json annotations/*.json json/*.json",
        numbers=BOTH,
        scanner=scan_coco,
    ),
    "cvat": Format(read_cvat, "CVAT XML 1.1, for images or for video", hints="annotations.xml"),
    "darknet": Format(
        darknet.read, "Darknet: obj.data with lists of images, labels as of YOLO", proof="obj.data", numbers=CLASSES
    ),
    "parquet": Format(
        read_parquet,
        "our lossless tables: images, boxes, categories .parquet with schema.json",
        proof="images.parquet",
        numbers=BOTH,
        scanner=scan_parquet,
    ),
    "voc": Format(
        read_voc,
        "Pascal VOC XML: Annotations/ with JPEGImages/, or annotations/ with images/",
        hints="[Aa]nnotations/*.xml [Aa]nnotations/*/*.xml *.xml",
    ),
}

# the first proof that holds is taken, so the general formats come first
READERS: dict[str, Format] = {**GENERAL, **PEDESTRIANS, **TOOLS, **TRAFFIC_LIGHTS, **TRAFFIC_SIGNS}
PUBLISHED = frozenset({*PEDESTRIANS, *TRAFFIC_LIGHTS, *TRAFFIC_SIGNS})  # data sets; the others are what tools write


_OTHER_NAMES = {
    **{"pascal_voc": "voc", "pascal": "voc", "voc_xml": "voc", "labelimg": "voc"},
    **{"hugging_face": "hf_imagefolder", "roboflow": "coco", "fiftyone": "coco"},  # as we call what we write
    **{"bstld": "bosch_lights", "bosch": "bosch_lights", "bdd": "bdd100k", "tju_dhd": "tju"},
    **{
        "coco_json": "coco",
        "mscoco": "coco",
        "yolov5": "yolo",
        "yolov8": "yolo",
        "yolo11": "yolo",
        "ultralytics": "yolo",
    },
    **{"flir_adas": "flir", "mapillary_vistas": "vistas", "mvd": "vistas", "eth": "idl", "tud_brussels": "idl"},
    **{"brainwash": "idl", "tud": "idl", "kaist_rgbt": "kaist", "daimler_mono": "daimler", "nuscenes": "nuimages"},
    **{"open_images": "openimages", "oid": "openimages", "mot": "mot17det", "mot15": "mot17det", "mot20": "mot17det"},
    **{"mapillary": "mtsd", "ecp": "eurocity", "imagefolder": "hf_imagefolder", "retinanet": "keras_csv"},
    **{
        "labelstudio": "label_studio",
        "ground_truth": "sagemaker",
        "v7": "darwin",
        "vgg": "via",
        "penn_fudan": "pascal_v1",
    },
}

_CROPS = "it holds crops of single signs, for classification; for detection take scenes, such as those of gtsdb"
_UNPACK = "bring the images out with detect-transfer unpack, then write hf_imagefolder"
_ADVICE = {  # what has no reader of its own
    **dict.fromkeys(("gtsrb", "tsrd", "ctsd"), _CROPS),
    **dict.fromkeys(("tfrecord", "tfrecords", "waymo", "huggingface", "hf_parquet", "datasets", "arrow"), _UNPACK),
    **dict.fromkeys(("s2tld", "sjtu_s2tld"), "write voc"),
    "crowdpose": "write coco, which reads its folder",
}


def get_format(name: str) -> Format:
    """Return the format of that name.

    Raises:
        InputError: There is none.
    """
    if not isinstance(name, str) or name not in READERS:
        raise InputError(
            "FORMAT_UNKNOWN",
            "no reader has this name",
            field="format",
            value=name,
            remedy=_instead(str(name)),
        )
    return READERS[name]


def _instead(name: str) -> str:
    """Return what to write for a name that others have for a format, else the nearest one."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
    if plain in _ADVICE:
        return _ADVICE[plain]
    own_name = plain if plain in READERS else _OTHER_NAMES.get(plain)
    return f"write {own_name}" if own_name else did_you_mean(name, list(READERS))
