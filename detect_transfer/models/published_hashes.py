"""The SHA-256 of published weights, by our name; several where a file was published again under its name.

Those of ultralytics are the files of its releases of assets, those of torchvision of download.pytorch.org, whose
addresses hold the first eight digits. What is not listed has those digits at most.
"""

from __future__ import annotations

import re

SHA256: dict[str, tuple[str, ...]] = {
    "fasterrcnn_resnet50_fpn": ("258fb6c638b15964ddcdd1ae0748c5eef1be9e732750120cc857feed3faac384",),
    "fcos_resnet50_fpn": ("99b0c9b7cfb1527d782db86b91d207f00547c792fb4103fc612b651d0a07b9e7",),
    "retinanet_resnet50_fpn_v2": ("5905b1c544219215e544dbe319720397bc4e68de61a733a59350d7976645b769",),
    "yolo11m": ("d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95",),
    "yolo11n": ("0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1",),
    "yolo11s": ("85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5",),
    "yolo26m": ("401cea9ab23ad19246ff7744859816bc599f350e93c9dd30367b6f0a0745d0b7",),
    "yolo26n": ("9b09cc8bf347f0fc8a5f7657480587f25db09b34bf33b0652110fb03a8ad4fef",),
    "yolov8n": (
        "31e20dde3def09e2cf938c7be6fe23d9150bbbe503982af13345706515f2ef95",
        "f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36",
    ),
}
_IN_ADDRESS = re.compile(r"-([0-9a-f]{8})\.pth$")


def expected_hashes(name: str, url: str) -> tuple[str, ...]:
    """Return what the SHA-256 of a published file may begin with; nothing where neither list nor address says it."""
    digits = _IN_ADDRESS.search(url)
    return SHA256.get(name) or ((digits[1],) if digits else ())
