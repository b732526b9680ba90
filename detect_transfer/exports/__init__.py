"""Exports: one writer a target format. Rank 3: imports only errors, boxes, images, files, media, table and ledger."""

from __future__ import annotations

from detect_transfer.exports.targets import DEFAULT_TARGETS, WRITERS, write_targets

__all__ = ["DEFAULT_TARGETS", "WRITERS", "write_targets"]
