"""The readers of native annotation formats: each module has one `read(root, *, ...) -> AnnotationTable`.

A reader marks and never drops: everything in the native files is in the table, or reading ends with an error that names
the place. Boxes become `xyxy` by the constant convention of the format; they are not clipped, merged or removed here.
To add a format: a module, a line in `READERS`, a folder in `datasets/`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

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
class Option:
    """An option of a reader: the type of its values, as annotated, and its default."""

    type: Any
    default: Any


@dataclass(frozen=True)
class Format:
    """A native format.

    Args:
        read: Its reader: the folder or file, then options by keyword.
        summary: What it is, in a line.
        proof: Glob patterns, divided by blanks, of what lies only in a folder of this format.
        hints: Glob patterns of what lies in most folders of this format, and may lie elsewhere.
        not_recognised: Why there is neither proof nor hint.
        numbers: What its files number themselves, so that ids in detections can mean it: `images`, `classes`, or
            only the `order of classes`. Elsewhere the reader counts.
    """

    read: Callable[..., AnnotationTable]
    summary: str
    proof: str = ""
    hints: str = ""
    not_recognised: str = ""
    numbers: frozenset[str] = frozenset()

    @property
    def options(self) -> dict[str, Option]:
        """The options of the reader by name."""
        types = get_type_hints(self.read)
        parameters = inspect.signature(self.read).parameters.values()
        return {p.name: Option(types.get(p.name), p.default) for p in parameters if p.kind is p.KEYWORD_ONLY}


_BOTH, _CLASSES = frozenset({"images", "classes"}), frozenset({"classes"})
_ORDER = frozenset({"order of classes"})

READERS: dict[str, Format] = {
    # the first proof that holds is taken: a data folder holds a data.yaml and COCO files too
    "data_folder": Format(data_folder.read, "a data folder that convert wrote", proof="manifest.json", numbers=_BOTH),
    "yolo": Format(
        read_yolo,
        "YOLO label files listed by a data.yaml",
        proof="data.yaml",
        hints="labels */labels",
        numbers=_CLASSES,
    ),
    "bdd100k": Format(
        bdd100k.read, "BDD100K detection: det_<split>.json, the lists of 2018, or a JSON a frame", hints="images/100k"
    ),
    "belgiumts": Format(
        belgiumts.read,
        "BelgiumTS: BTSD_training_GT.txt, BTSD_testing_GT.txt or their clear kin, with images",
        hints="BelgiumTSD_annotations",
    ),
    "bosch_lights": Format(
        bosch_lights.read, "Bosch Small Traffic Lights: train.yaml and test.yaml", hints="train.yaml test.yaml"
    ),
    "caltech": Format(
        caltech.read,
        "Caltech Pedestrian: .vbb files, their JSON dump or texts, with images or .seq videos",
        hints="annotations/*/*.vbb annotations.json anno_train* anno_test*",
    ),
    "cctsdb": Format(
        cctsdb.read, "CCTSDB: GroundTruth.txt of 2017, texts or XML of 2021", hints="GroundTruth xml/*.xml"
    ),
    "citypersons": Format(
        citypersons.read,
        "CityPersons: anno_<split>.mat, gtBboxCityPersons or <split>_gt.json, with leftImg8bit",
        hints="**/anno_*.mat gtBboxCityPersons *_gt.json",
        numbers=_BOTH,
    ),
    "coco": Format(
        read_coco,
        "COCO instances JSON, one file or annotations/instances_<split>.json",
        proof="annotations/instances_*.json",
        hints="*.json annotations/*.json",
        numbers=_BOTH,
    ),
    "crowdhuman": Format(crowdhuman.read, "CrowdHuman: annotation_<split>.odgt beside Images/", hints="*.odgt"),
    "cure_tsd": Format(
        cure_tsd.read,
        "CURE-TSD: label texts RR_SS.txt with videos or their frames",
        hints="labels/[0-9][0-9]_[0-9][0-9].txt [0-9][0-9]_[0-9][0-9].txt",
    ),
    "cvat": Format(read_cvat, "CVAT XML 1.1, for images or for video", hints="annotations.xml"),
    "darknet": Format(
        darknet.read, "Darknet: obj.data with lists of images, labels as of YOLO", hints="obj.data", numbers=_CLASSES
    ),
    "dfg": Format(
        dfg.read,
        "DFG traffic signs: DFG-tsd-annot-json/{train,test}.json with JPEGImages",
        hints="DFG-tsd-annot-json",
        numbers=_ORDER | {"images"},
    ),
    "dota": Format(
        dota.read, "DOTA: labelTxt/<stem>.txt with oriented boxes beside images/", hints="labelTxt */labelTxt"
    ),
    "eurocity": Format(
        eurocity.read,
        "EuroCity Persons: day and night, labels/<split>/<city>/*.json with img/",
        hints="day/labels night/labels labels/*/*/*.json",
    ),
    "gtsdb": Format(
        gtsdb.read, "German Traffic Sign Detection Benchmark: scenes beside gt.txt", hints="gt.txt", numbers=_ORDER
    ),
    "hf_imagefolder": Format(
        hf_imagefolder.read,
        "Hugging Face imagefolder: metadata.jsonl or metadata.csv beside the images",
        hints="metadata.jsonl metadata.csv */metadata.jsonl */metadata.csv",
    ),
    "icevision": Format(icevision.read, "IceVision: a TSV for each annotated frame", hints="annotations/*/*.tsv"),
    "jaad": Format(
        jaad.read, "JAAD: annotations/video_NNNN.xml with frames or videos", hints="annotations/video_*.xml"
    ),
    "keras_csv": Format(
        keras_csv.read,
        "keras-retinanet CSV: path,x1,y1,x2,y2,class rows and classes.csv",
        hints="classes.csv",
        numbers=_ORDER,
    ),
    "kitti": Format(kitti.read, "KITTI object detection: label_2/ beside image_2/", hints="label_2 */label_2"),
    "label_studio": Format(
        label_studio.read, "Label Studio, JSON or JSON-MIN", not_recognised="its export is one JSON file of any name"
    ),
    "labelme": Format(labelme.read, "LabelMe JSON, a file an image", hints="*.json */*.json"),
    "lara": Format(lara.read, "LaRA traffic lights: one ground truth text with frames", hints="*GroundTruth_GT.txt"),
    "lisa": Format(
        lisa.read,
        "LISA traffic signs: allAnnotations.csv, or a frameAnnotations.csv a folder",
        hints="allAnnotations.csv */*/frameAnnotations.csv",
    ),
    "lisa_lights": Format(
        lisa_lights.read, "LISA traffic lights: a frameAnnotationsBOX.csv a clip", hints="**/frameAnnotationsBOX.csv"
    ),
    "mot17det": Format(
        mot17det.read,
        "MOT17Det and its kin: sequences with gt/gt.txt and seqinfo.ini",
        hints="*/gt/gt.txt */*/gt/gt.txt",
    ),
    "mtsd": Format(
        mtsd.read,
        "Mapillary Traffic Sign Dataset: a JSON an image, splits/<split>.txt",
        hints="splits/*.txt */splits/*.txt",
    ),
    "nightowls": Format(
        nightowls.read,
        "NightOwls: nightowls_<split>.json with its images in any folder",
        hints="nightowls_*.json",
        numbers=_BOTH,
    ),
    "openimages": Format(
        openimages.read,
        "Open Images: <split>-annotations-bbox.csv, class descriptions and images",
        hints="*-annotations-bbox.csv",
    ),
    "parquet": Format(
        read_parquet,
        "our lossless tables: images, boxes, categories .parquet with schema.json",
        proof="images.parquet",
        numbers=_BOTH,
    ),
    "pascal_v1": Format(
        pascal_v1.read,
        "PASCAL Annotation Version 1.00 texts: Penn-Fudan, INRIA Person",
        hints="Annotation/*.txt */annotations.lst",
    ),
    "roboflow_csv": Format(
        roboflow_csv.read, "Roboflow CSV: _annotations.csv beside the images of each split", hints="*/_annotations.csv"
    ),
    "rtsd": Format(
        rtsd.read,
        "Russian Traffic Sign Dataset: full-gt.csv, or the detection subsets d1 to d3",
        hints="full-gt.csv detection",
    ),
    "sagemaker": Format(
        sagemaker.read, "SageMaker Ground Truth: augmented manifests of bounding-box jobs", hints="*.manifest"
    ),
    "stsd": Format(stsd.read, "Swedish Traffic Signs: annotations.txt of Set1 and Set2", hints="Set*/annotations.txt"),
    "supervisely": Format(supervisely.read, "a project of Supervisely: meta.json, ann/ and img/", hints="meta.json"),
    "tju": Format(
        tju.read,
        "TJU-DHD and TJU-Ped: <name>_<split>.json with their images in any folder",
        hints="*_train.json *_val.json annotations/*_train.json annotations/*_val.json",
        numbers=_BOTH,
    ),
    "tt100k": Format(
        tt100k.read,
        "Tsinghua-Tencent 100K: annotations.json (2016) or annotations_all.json (2021)",
        hints="annotations_all.json data/annotations.json",
    ),
    "via": Format(
        via.read, "VGG Image Annotator, CSV or JSON, versions 1 and 2", hints="via_region_data.* */via_region_data.*"
    ),
    "voc": Format(
        read_voc,
        "Pascal VOC XML: Annotations/ with JPEGImages/, or annotations/ with images/",
        hints="[Aa]nnotations/*.xml *.xml",
    ),
    "widerperson": Format(
        widerperson.read,
        "WiderPerson: Annotations/<image>.txt, listed by train.txt and val.txt",
        hints="Annotations/*.txt",
    ),
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
            remedy=did_you_mean(str(name), list(READERS)),
        )
    return READERS[name]
