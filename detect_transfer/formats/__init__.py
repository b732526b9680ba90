"""The readers of native annotation formats: each module has one `read(root, *, ...) -> AnnotationTable`.

A reader marks and never drops: everything in the native files is in the table, or reading ends with an error that names
the place. Boxes become `xyxy` by the constant convention of the format; they are not clipped, merged or removed here.
To add a format: a module, a line in `READERS`, a folder in `datasets/`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.formats.coco import data_folder
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.cvat.reader import read as read_cvat
from detect_transfer.formats.parquet.reader import read as read_parquet
from detect_transfer.formats.pedestrians import (
    caltech,
    citypersons,
    crowdhuman,
    eurocity,
    jaad,
    kitti,
    mot17det,
    nightowls,
    pascal_v1,
    tju,
    widerperson,
)
from detect_transfer.formats.tools import (
    dota,
    hf_imagefolder,
    keras_csv,
    label_studio,
    labelme,
    openimages,
    roboflow_csv,
    sagemaker,
    supervisely,
    via,
)
from detect_transfer.formats.traffic_lights import bosch_lights, lara, lisa_lights
from detect_transfer.formats.traffic_signs import (
    bdd100k,
    belgiumts,
    cctsdb,
    cure_tsd,
    dfg,
    gtsdb,
    icevision,
    lisa,
    mtsd,
    rtsd,
    stsd,
    tt100k,
)
from detect_transfer.formats.voc.reader import read as read_voc
from detect_transfer.formats.yolo import darknet
from detect_transfer.formats.yolo.reader import read as read_yolo


@dataclass(frozen=True)
class Format:
    """A native format.

    Args:
        read: Its reader: the folder or file, then options by keyword.
        summary: What it is, in a line.
        numbers: What its files number themselves, so that detections of anybody can mean it: `images`, `classes`, or
            only the `order of classes`. Elsewhere the reader counts.
    """

    read: Callable[..., AnnotationTable]
    summary: str
    numbers: frozenset[str] = frozenset()

    @property
    def options(self) -> dict[str, Any]:
        """The options of the reader with their defaults."""
        parameters = inspect.signature(self.read).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


_BOTH, _CLASSES = frozenset({"images", "classes"}), frozenset({"classes"})
_ORDER = frozenset({"order of classes"})

READERS: dict[str, Format] = {
    "bdd100k": Format(bdd100k.read, "BDD100K detection: det_<split>.json, the lists of 2018, or a JSON a frame"),
    "belgiumts": Format(
        belgiumts.read, "BelgiumTS: BTSD_training_GT.txt, BTSD_testing_GT.txt or their clear kin, with images"
    ),
    "bosch_lights": Format(bosch_lights.read, "Bosch Small Traffic Lights: train.yaml and test.yaml"),
    "caltech": Format(
        caltech.read, "Caltech Pedestrian: .vbb files, their JSON dump or texts, with images or .seq videos"
    ),
    "cctsdb": Format(cctsdb.read, "CCTSDB: GroundTruth.txt of 2017, texts or XML of 2021"),
    "citypersons": Format(
        citypersons.read, "CityPersons: anno_<split>.mat, gtBboxCityPersons or <split>_gt.json, with leftImg8bit"
    ),
    "coco": Format(read_coco, "COCO instances JSON, one file or annotations/instances_<split>.json", _BOTH),
    "crowdhuman": Format(crowdhuman.read, "CrowdHuman: annotation_<split>.odgt beside Images/"),
    "cure_tsd": Format(cure_tsd.read, "CURE-TSD: label texts RR_SS.txt with videos or their frames"),
    "cvat": Format(read_cvat, "CVAT XML 1.1, for images or for video"),
    "darknet": Format(darknet.read, "Darknet: obj.data with lists of images, labels as of YOLO", _CLASSES),
    "data_folder": Format(data_folder.read, "a data folder that convert wrote", _BOTH),
    "dfg": Format(
        dfg.read, "DFG traffic signs: DFG-tsd-annot-json/{train,test}.json with JPEGImages", _ORDER | {"images"}
    ),
    "dota": Format(dota.read, "DOTA: labelTxt/<stem>.txt with oriented boxes beside images/"),
    "eurocity": Format(eurocity.read, "EuroCity Persons: day and night, labels/<split>/<city>/*.json with img/"),
    "gtsdb": Format(gtsdb.read, "German Traffic Sign Detection Benchmark: scenes beside gt.txt", _ORDER),
    "hf_imagefolder": Format(
        hf_imagefolder.read, "Hugging Face imagefolder: metadata.jsonl or metadata.csv beside the images"
    ),
    "icevision": Format(icevision.read, "IceVision: a TSV for each annotated frame"),
    "jaad": Format(jaad.read, "JAAD: annotations/video_NNNN.xml with frames or videos"),
    "keras_csv": Format(keras_csv.read, "keras-retinanet CSV: path,x1,y1,x2,y2,class rows and classes.csv", _ORDER),
    "kitti": Format(kitti.read, "KITTI object detection: label_2/ beside image_2/"),
    "label_studio": Format(label_studio.read, "Label Studio, JSON or JSON-MIN"),
    "labelme": Format(labelme.read, "LabelMe JSON, a file an image"),
    "lara": Format(lara.read, "LaRA traffic lights: one ground truth text with frames"),
    "lisa": Format(lisa.read, "LISA traffic signs: allAnnotations.csv, or a frameAnnotations.csv a folder"),
    "lisa_lights": Format(lisa_lights.read, "LISA traffic lights: a frameAnnotationsBOX.csv a clip"),
    "mot17det": Format(mot17det.read, "MOT17Det and its kin: sequences with gt/gt.txt and seqinfo.ini"),
    "mtsd": Format(mtsd.read, "Mapillary Traffic Sign Dataset: a JSON an image, splits/<split>.txt"),
    "nightowls": Format(nightowls.read, "NightOwls: nightowls_<split>.json with its images in any folder", _BOTH),
    "openimages": Format(openimages.read, "Open Images: <split>-annotations-bbox.csv, class descriptions and images"),
    "parquet": Format(read_parquet, "our lossless tables: images, boxes, categories .parquet with schema.json", _BOTH),
    "pascal_v1": Format(pascal_v1.read, "PASCAL Annotation Version 1.00 texts: Penn-Fudan, INRIA Person"),
    "roboflow_csv": Format(roboflow_csv.read, "Roboflow CSV: _annotations.csv beside the images of each split"),
    "rtsd": Format(rtsd.read, "Russian Traffic Sign Dataset: full-gt.csv, or the detection subsets d1 to d3"),
    "sagemaker": Format(sagemaker.read, "SageMaker Ground Truth: augmented manifests of bounding-box jobs"),
    "stsd": Format(stsd.read, "Swedish Traffic Signs: annotations.txt of Set1 and Set2"),
    "supervisely": Format(supervisely.read, "a project of Supervisely: meta.json, ann/ and img/"),
    "tju": Format(
        tju.read, "TJU-DHD and TJU-Ped: <name>_<split>.json with their images in any folder", frozenset({"images"})
    ),
    "tt100k": Format(tt100k.read, "Tsinghua-Tencent 100K: annotations.json (2016) or annotations_all.json (2021)"),
    "via": Format(via.read, "VGG Image Annotator, CSV or JSON, versions 1 and 2"),
    "voc": Format(read_voc, "Pascal VOC XML: Annotations/ with JPEGImages/, or annotations/ with images/"),
    "widerperson": Format(widerperson.read, "WiderPerson: Annotations/<image>.txt, listed by train.txt and val.txt"),
    "yolo": Format(read_yolo, "YOLO label files listed by a data.yaml", _CLASSES),
}


def get_format(name: str) -> Format:
    """Return the format of that name.

    Raises:
        InputError: There is none.
    """
    if name not in READERS:
        raise InputError(
            "FORMAT_UNKNOWN",
            "no reader has this name",
            field="format",
            value=name,
            remedy=did_you_mean(name, list(READERS)),
        )
    return READERS[name]
