"""Drawings, plots and the one-file page."""

from __future__ import annotations

from detect_transfer.report.drawings import Mark, contact_sheet, draw_marks
from detect_transfer.report.page import ReportData, write_report
from detect_transfer.report.render import render_predictions

__all__ = [
    "Mark",
    "ReportData",
    "contact_sheet",
    "draw_marks",
    "render_predictions",
    "write_report",
]
