"""Which native format a file or folder is of, by what lies there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_PROVE = {  # what is there only in a folder of that format; the first that holds is taken
    "data_folder": "manifest.json",
    "yolo": "data.yaml",
    "coco": "annotations/instances_*.json",
    "parquet": "images.parquet",
}
_SUGGEST = {  # what is there in most folders of that format, and may be elsewhere
    "bdd100k": "images/100k",
    "belgiumts": "BelgiumTSD_annotations",
    "bosch_lights": "train.yaml test.yaml",
    "caltech": "annotations/*/*.vbb",
    "cctsdb": "GroundTruth xml/*.xml",
    "citypersons": "**/anno_*.mat gtBboxCityPersons *_gt.json",
    "coco": "*.json annotations/*.json",
    "crowdhuman": "*.odgt",
    "cvat": "annotations.xml",
    "darknet": "obj.data",
    "dota": "labelTxt */labelTxt",
    "gtsdb": "gt.txt",
    "hf_imagefolder": "metadata.jsonl metadata.csv */metadata.jsonl */metadata.csv",
    "jaad": "annotations/video_*.xml",
    "keras_csv": "classes.csv",
    "kitti": "label_2 */label_2",
    "lara": "*GroundTruth_GT.txt",
    "lisa": "allAnnotations.csv",
    "mot17det": "*/gt/gt.txt */*/gt/gt.txt",
    "mtsd": "splits/*.txt */splits/*.txt",
    "openimages": "*-annotations-bbox.csv",
    "pascal_v1": "Annotation/*.txt */annotations.lst",
    "roboflow_csv": "*/_annotations.csv",
    "rtsd": "full-gt.csv detection",
    "sagemaker": "*.manifest",
    "stsd": "Set*/annotations.txt",
    "supervisely": "meta.json",
    "tt100k": "annotations_all.json data/annotations.json",
    "via": "via_region_data.* */via_region_data.*",
    "voc": "[Aa]nnotations/*.xml *.xml",
    "widerperson": "Annotations/*.txt",
    "yolo": "labels */labels",
}


def recognised(path: Path) -> str | None:
    """Return the format of what shows it: a JSON file is COCO, a data.yaml YOLO; None where a name is needed."""
    if path.suffix.lower() == ".json":
        return "coco"
    if path.suffix.lower() in (".yaml", ".yml"):
        return "yolo"
    return next(iter(_found(path, _PROVE)), None)


def likely(path: Path) -> list[str]:
    """Return the formats that a file or folder may be of."""
    return _found(path if path.is_dir() else path.parent, _SUGGEST)


def _found(path: Path, marks: Mapping[str, str]) -> list[str]:
    """Return the formats of which one mark is there."""
    return [name for name, told in marks.items() if any(next(path.glob(mark), None) for mark in told.split())]
