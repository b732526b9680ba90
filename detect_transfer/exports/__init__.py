"""Exports: one writer a target format. Rank 3: imports only errors, boxes, images, files, media, table and ledger."""

from __future__ import annotations

from detect_transfer.exports.targets import WRITERS, choose_targets, write_targets

__all__ = ["WRITERS", "choose_targets", "write_targets"]
