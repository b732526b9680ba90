"""Detectors: one package a family, pretrained weights, and prediction on images."""

from __future__ import annotations

from detect_transfer.models.base import Detector
from detect_transfer.models.checkpoints import load_weights, save_weights
from detect_transfer.models.families import FAMILIES, build_detector, load_detector
from detect_transfer.models.hub import find_weights

__all__ = ["FAMILIES", "Detector", "build_detector", "find_weights", "load_detector", "load_weights", "save_weights"]
