"""The formats of traffic lights, by name."""

from __future__ import annotations

from detect_transfer.formats.format import Format
from detect_transfer.formats.traffic_lights import (
    bosch_lights,
    dtld,
    lara,
    lisa_lights,
)

FORMATS: dict[str, Format] = {
    "bosch_lights": Format(
        bosch_lights.read, "Bosch Small Traffic Lights: train.yaml and test.yaml", hints="train.yaml test.yaml"
    ),
    "dtld": Format(
        dtld.read,
        "DriveU traffic lights, version 2: DTLD_<split>.json with the cities",
        hints="DTLD_*.json */DTLD_*.json",
    ),
    "lara": Format(lara.read, "LaRA traffic lights: one ground truth text with frames", hints="*GroundTruth_GT.txt"),
    "lisa_lights": Format(
        lisa_lights.read, "LISA traffic lights: a frameAnnotationsBOX.csv a clip", hints="**/frameAnnotationsBOX.csv"
    ),
}
