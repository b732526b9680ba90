"""The formats of annotation tools and exchanges, by name."""

from __future__ import annotations

from detect_transfer.formats.format import ORDER, Format
from detect_transfer.formats.tools import (
    cloud_jsonl,
    createml,
    csv_boxes,
    darwin,
    datumaro,
    dota,
    hf_imagefolder,
    keras_csv,
    label_studio,
    labelbox,
    labelme,
    openimages,
    roboflow_csv,
    sagemaker,
    supervisely,
    via,
)

FORMATS: dict[str, Format] = {
    "cloud_jsonl": Format(
        cloud_jsonl.read,
        "JSON lines of Azure ML or Vertex AI, an image a line",
        hints="*.jsonl",
    ),
    "csv": Format(
        csv_boxes.read,
        "CSV with a header of any names: image, class and four numbers, or these in one field",
        not_recognised="a CSV file may be of many formats",
    ),
    "createml": Format(
        createml.read,
        "CreateML JSON: a list of images with centre and size of boxes",
        hints="*createml.json */*createml.json",
    ),
    "darwin": Format(darwin.read, "V7 Darwin JSON, a file an image", hints="*.json */*.json"),
    "datumaro": Format(
        datumaro.read,
        "Datumaro JSON: annotations/<subset>.json beside images/",
        hints="annotations/default.json annotations/*.json",
        numbers=ORDER,
    ),
    "dota": Format(
        dota.read, "DOTA: labelTxt/<stem>.txt with oriented boxes beside images/", hints="labelTxt */labelTxt"
    ),
    "hf_imagefolder": Format(
        hf_imagefolder.read,
        "Hugging Face imagefolder: metadata.jsonl or metadata.csv beside the images",
        hints="metadata.jsonl metadata.csv */metadata.jsonl */metadata.csv",
    ),
    "keras_csv": Format(
        keras_csv.read,
        "keras-retinanet CSV: path,x1,y1,x2,y2,class rows and classes.csv",
        hints="classes.csv",
        numbers=ORDER,
    ),
    "label_studio": Format(
        label_studio.read, "Label Studio, JSON or JSON-MIN", not_recognised="its export is one JSON file of any name"
    ),
    "labelbox": Format(labelbox.read, "Labelbox NDJSON, an export of version 2", hints="*.ndjson"),
    "labelme": Format(labelme.read, "LabelMe JSON, a file an image", hints="*.json */*.json"),
    "openimages": Format(
        openimages.read,
        "Open Images: <split>-annotations-bbox.csv, class descriptions and images",
        hints="*-annotations-bbox.csv annotations/*-annotations-bbox.csv",
    ),
    "roboflow_csv": Format(
        roboflow_csv.read,
        "Roboflow CSV: _annotations.csv beside the images of each split",
        hints="_annotations.csv */_annotations.csv",
    ),
    "sagemaker": Format(
        sagemaker.read, "SageMaker Ground Truth: augmented manifests of bounding-box jobs", proof="*.manifest"
    ),
    "supervisely": Format(supervisely.read, "a project of Supervisely: meta.json, ann/ and img/", hints="meta.json"),
    "via": Format(
        via.read, "VGG Image Annotator, CSV or JSON, versions 1 to 3", hints="via*.json via*.csv */via*.json */via*.csv"
    ),
}
