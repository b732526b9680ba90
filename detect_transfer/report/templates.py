"""The templates of all pages: what is put into them is escaped, and what is missing is an error."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detect_transfer import __version__
from detect_transfer.core.io import write_atomic
from detect_transfer.report.text import number, short_name


def write_html(
    path: Path, template: str, values: Mapping[str, Any], filters: Mapping[str, Callable[..., str]] | None = None
) -> None:
    """Fill a template of this folder, and write it as one file that opens anywhere and needs no network.

    Args:
        path: The HTML file.
        template: Its name without ``.html.j2``.
        values: What it shows; the script, the style and the version are added.
        filters: Further filters beside `num` and `short`.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {}, num=number, short=short_name)
    script = environment.get_template("page.js.j2").render()
    page = environment.get_template(f"{template}.html.j2").render(
        **values,
        version=__version__,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=environment.get_template("page.css.j2").render(),
    )
    write_atomic(path, page)


def svg_uri(svg: str) -> str:
    """Return a plot as a data URI; "" for "", which is a plot that has nothing to show."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode() if svg else ""
