"""Label Studio: `tasks.json`, to correct labels there and come back, and `label_config.xml`, the labels of the project.

Boxes are percent of the image. What else a person may decide of a box stands in the choices `flags` of its region.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.io import write_atomic, write_json
from detect_transfer.core.ledger import Ledger
from detect_transfer.formats.parsing.own_columns import FLAGS
from detect_transfer.formats.writing.losses import note_losses
from detect_transfer.formats.writing.objects import images_with_objects, with_class
from detect_transfer.formats.writing.xml import check_text, escape

CARRIED = ("split", *FLAGS)
_LOCAL_FILES = "/data/local-files/?d="


def write_label_studio(
    table: AnnotationTable, out: Path, *, folder: str = "images", model: str | None = None, ledger: Ledger | None = None
) -> None:
    """Write a task for each image, which Label Studio imports once it may serve the files.

    Args:
        table: What to write; all images have a size. Columns `score` and `note` of the boxes go along.
        out: The folder that gets the two files.
        folder: The folder of the images below the document root of Label Studio.
        model: Who made the boxes: they become predictions, which a person accepts or corrects. None: annotations.
        ledger: Gets a step with what was left out and has no field.

    Raises:
        InputError: XML cannot hold the name of a class.
        ResourceError: The disk is full or does not let us write.

    Source: Label Studio documentation, import annotated data, and local storage.
    """
    step = (ledger or Ledger()).open("label_studio", images=len(table.images), boxes=len(table.boxes))
    check_text(table.categories["name"], field="class", stripped=True)
    table = table.with_boxes(with_class(table.boxes, step, "a region of Label Studio"))
    tasks = []
    for image, rows in images_with_objects(table):
        address = f"{_LOCAL_FILES}{quote('/'.join(filter(None, (folder, image['file_name']))))}"
        result = [part for row in rows for part in _region(row, image)]
        made = {"model_version": model} if model else {}
        # regions state the size of their image; without one the task does
        size = {} if result else {"original_width": image["width"], "original_height": image["height"]}
        about: dict[str, Any] = {"image": address, **size}
        # Label Studio numbers tasks by itself; its converter asks for a number
        tasks.append(
            {
                "id": image["image_id"],
                "data": about,
                "predictions" if model else "annotations": [{**made, "result": result}],
            }
        )
    write_json(out / "tasks.json", tasks, indent=False)
    write_atomic(out / "label_config.xml", _config(table))
    note_losses(step, table, (*CARRIED, "score", "note"))
    step.close(images_out=len(table.images), boxes_out=len(table.boxes))


def _region(row: dict[str, Any], image: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of a region: its box, and its flags where there are any."""
    width, height = image["width"], image["height"]
    about = {
        **{"id": str(row["annotation_id"]), "to_name": "image", "image_rotation": 0},
        **{"original_width": width, "original_height": height},
    }
    value = {
        **{"x": row["x1"] * 100 / width, "y": row["y1"] * 100 / height},
        **{"width": (row["x2"] - row["x1"]) * 100 / width, "height": (row["y2"] - row["y1"]) * 100 / height},
        "rotation": 0,
    }
    box = {
        **about,
        "from_name": "label",
        "type": "rectanglelabels",
        "value": {**value, "rectanglelabels": [row["name"]]},
    }
    if row.get("score") is not None:
        box["score"] = row["score"]
    if row.get("note"):
        box["meta"] = {"text": [row["note"]]}
    flags = [name for name in FLAGS if row[name]]
    if not flags:
        return [box]
    return [box, {**about, "from_name": "flags", "type": "choices", "value": {**value, "choices": flags}}]


def _config(table: AnnotationTable) -> str:
    labels = "".join(f'    <Label value="{escape(name)}"/>\n' for name in table.class_names)
    choices = "".join(f'    <Choice value="{name}"/>\n' for name in FLAGS)
    return (
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <RectangleLabels name="label" toName="image">\n{labels}  </RectangleLabels>\n'
        f'  <Choices name="flags" toName="image" perRegion="true" choice="multiple">\n{choices}  </Choices>\n</View>\n'
    )
