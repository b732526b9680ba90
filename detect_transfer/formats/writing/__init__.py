"""Exports: one writer a target format."""

from __future__ import annotations

from detect_transfer.formats.writing.targets import WRITERS, choose_targets, write_targets

__all__ = ["WRITERS", "choose_targets", "write_targets"]
