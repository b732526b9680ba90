"""Options and help texts that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="The folder to make; it must be absent or empty.")]
DETECTIONS = "COCO results JSON, a CSV with a header, Parquet, or a folder with a text an image."
DETECTIONS_FORMAT = "coco, csv, parquet, text or yolo; without it recognised by content."

TRUTH = "COCO instances JSON, a folder that convert wrote, a data.yaml; others with --truth-format."
TruthFormat = Annotated[str | None, typer.Option(help="The format of the truth, such as voc; as of convert.")]
TruthSplit = Annotated[
    str | None, typer.Option("--split", help="Of the truth, or all; without it the only one, else val, else test.")
]
TruthImages = Annotated[Path | None, typer.Option("--images", help="The folder that file_name is relative to.")]
TruthOption = Annotated[list[str] | None, typer.Option("--option", help="KEY=VALUE for the reader; may be repeated.")]
