"""The formats of pedestrians, by name."""

from __future__ import annotations

from detect_transfer.formats.format import BOTH, Format
from detect_transfer.formats.pedestrians import (
    caltech,
    citypersons,
    cityscapes,
    crowdhuman,
    daimler,
    eurocity,
    flir,
    idl,
    jaad,
    kaist,
    kitti,
    llvip,
    mot17det,
    nightowls,
    nuimages,
    panda,
    pascal_v1,
    tju,
    visdrone,
    widerperson,
)

FORMATS: dict[str, Format] = {
    "caltech": Format(
        caltech.read,
        "Caltech Pedestrian: .vbb files, their JSON dump or texts, with images or .seq videos",
        hints="annotations/*/*.vbb annotations.json anno_train* anno_test*",
    ),
    "cityscapes": Format(
        cityscapes.read,
        "Cityscapes: polygons of gtFine or gtCoarse with leftImg8bit",
        hints="gtFine gtCoarse",
    ),
    "citypersons": Format(
        citypersons.read,
        "CityPersons: anno_<split>.mat, gtBboxCityPersons or <split>_gt.json, with leftImg8bit",
        hints="**/anno_*.mat gtBboxCityPersons *_gt.json",
        numbers=BOTH,
    ),
    "crowdhuman": Format(crowdhuman.read, "CrowdHuman: annotation_<split>.odgt beside Images/", hints="*.odgt"),
    "daimler": Format(
        daimler.read,
        "Daimler's monocular pedestrian benchmark: GroundTruth2D.db",
        proof="GroundTruth2D.db */GroundTruth2D.db */*/GroundTruth2D.db",
    ),
    "eurocity": Format(
        eurocity.read,
        "EuroCity Persons: day and night, labels/<split>/<city>/*.json with img/",
        hints="day/labels night/labels labels/train/*/*.json labels/val/*/*.json",
    ),
    "flir": Format(
        flir.read,
        "FLIR ADAS: images_thermal_train/coco.json and its kin, or train/thermal_annotations.json",
        hints="images_thermal_*/coco.json images_rgb_*/coco.json */thermal_annotations.json",
        numbers=BOTH,
    ),
    "idl": Format(
        idl.read,
        "IDL or AL lists of one class: ETH and TUD pedestrians, Brainwash",
        hints="*.idl */*.idl *.al */*.al",
    ),
    "jaad": Format(
        jaad.read, "JAAD: annotations/video_NNNN.xml with frames or videos", hints="annotations/video_*.xml"
    ),
    "kaist": Format(
        kaist.read,
        "KAIST multispectral pedestrians: XML or texts set00/V000/I00000 with images/",
        hints="*/set[0-9][0-9]/V[0-9][0-9][0-9]/visible */set[0-9][0-9]/V[0-9][0-9][0-9]/lwir",
    ),
    "kitti": Format(kitti.read, "KITTI object detection: label_2/ beside image_2/", hints="label_2 */label_2"),
    "llvip": Format(
        llvip.read, "LLVIP: VOC XML in Annotations/ with infrared/ and visible/", hints="infrared/train infrared/test"
    ),
    "mot17det": Format(
        mot17det.read,
        "MOT17Det and its kin: sequences with gt/gt.txt and seqinfo.ini",
        hints="*/gt/gt.txt */*/gt/gt.txt gt/gt.txt",
    ),
    "nightowls": Format(
        nightowls.read,
        "NightOwls: nightowls_<split>.json with its images in any folder",
        hints="nightowls_*.json",
        numbers=BOTH,
    ),
    "nuimages": Format(
        nuimages.read, "nuImages: tables v1.0-<split>/*.json beside samples/", hints="v1.0-*/object_ann.json"
    ),
    "panda": Format(
        panda.read,
        "PANDA-Image: person_bbox_<split>.json and vehicle_bbox_<split>.json with the scenes",
        hints="**/person_bbox_*.json **/vehicle_bbox_*.json",
    ),
    "pascal_v1": Format(
        pascal_v1.read,
        "PASCAL Annotation Version 1.00 texts: Penn-Fudan, INRIA Person",
        hints="Annotation/*.txt */annotations.lst",
    ),
    "tju": Format(
        tju.read,
        "TJU-DHD and TJU-Ped: <name>_<split>.json with their images in any folder",
        hints="*_train.json *_val.json annotations/*_train.json annotations/*_val.json",
        numbers=BOTH,
    ),
    "visdrone": Format(
        visdrone.read,
        "VisDrone-DET: annotations/<stem>.txt beside images/",
        hints="annotations/*.txt */annotations/*.txt",
    ),
    "widerperson": Format(
        widerperson.read,
        "WiderPerson: Annotations/<image>.txt, listed by train.txt and val.txt",
        hints="Annotations/*.txt",
    ),
}
