"""The templates of all pages: what is put into them is escaped, and what is missing is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def page_templates() -> Any:
    """Return the jinja environment of this folder's templates."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
