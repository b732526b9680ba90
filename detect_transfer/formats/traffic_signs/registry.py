"""The formats of traffic signs, by name."""

from __future__ import annotations

from detect_transfer.formats.format import ORDER, Format
from detect_transfer.formats.traffic_signs import (
    a2d2,
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
    vistas,
)

FORMATS: dict[str, Format] = {
    "a2d2": Format(
        a2d2.read,
        "A2D2: boxes label3D/<camera>/*.json of drives, with camera/<camera>/*.png",
        hints="*/label3D label3D */*/label3D",
    ),
    "bdd100k": Format(
        bdd100k.read,
        "BDD100K detection: det_<split>.json, the lists of 2018, or a JSON a frame",
        hints="images/100k labels/100k",
    ),
    "belgiumts": Format(
        belgiumts.read,
        "BelgiumTS: BTSD_training_GT.txt, BTSD_testing_GT.txt or their clear kin, with images",
        hints="BelgiumTSD_annotations",
    ),
    "cctsdb": Format(
        cctsdb.read, "CCTSDB: GroundTruth.txt of 2017, texts or XML of 2021", hints="GroundTruth xml/*.xml"
    ),
    "cure_tsd": Format(
        cure_tsd.read,
        "CURE-TSD: label texts RR_SS.txt with videos or their frames",
        hints="labels/[0-9][0-9]_[0-9][0-9].txt [0-9][0-9]_[0-9][0-9].txt",
    ),
    "dfg": Format(
        dfg.read,
        "DFG traffic signs: DFG-tsd-annot-json/{train,test}.json with JPEGImages",
        hints="DFG-tsd-annot-json/*.json",
        numbers=ORDER | {"images"},
    ),
    "gtsdb": Format(
        gtsdb.read, "German Traffic Sign Detection Benchmark: scenes beside gt.txt", hints="gt.txt", numbers=ORDER
    ),
    "icevision": Format(icevision.read, "IceVision: a TSV for each annotated frame", hints="annotations/*/*.tsv"),
    "lisa": Format(
        lisa.read,
        "LISA traffic signs: allAnnotations.csv, or a frameAnnotations.csv a folder",
        hints="allAnnotations.csv */*/frameAnnotations.csv",
    ),
    "mtsd": Format(
        mtsd.read,
        "Mapillary Traffic Sign Dataset: a JSON an image, splits/<split>.txt",
        hints="splits/*.txt */splits/*.txt",
    ),
    "rtsd": Format(
        rtsd.read,
        "Russian Traffic Sign Dataset: full-gt.csv, or the detection subsets d1 to d3",
        hints="full-gt.csv detection/rtsd-d*-gt rtsd-d*-gt",
    ),
    "stsd": Format(stsd.read, "Swedish Traffic Signs: annotations.txt of Set1 and Set2", hints="Set*/annotations.txt"),
    "tt100k": Format(
        tt100k.read,
        "Tsinghua-Tencent 100K: annotations.json (2016) or annotations_all.json (2021)",
        hints="annotations_all.json data/annotations.json",
    ),
    "vistas": Format(
        vistas.read,
        "Mapillary Vistas: polygons or panoptic JSON of training/ and validation/",
        hints="*/*/polygons */polygons polygons */panoptic */*/panoptic",
    ),
}
