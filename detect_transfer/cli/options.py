"""Options and help texts that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="The folder to make; it must be absent or empty.")]
DETECTIONS = "COCO results JSON, a CSV with a header, Parquet, or a folder with a text a picture."
DETECTIONS_FORMAT = "coco, csv, parquet, text or yolo; without it recognised by content."
