"""What the tests of the readers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

Write = Callable[..., Path]


@pytest.fixture
def shared() -> Path:
    """The folder of real data, which not every machine has."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data in {SHARED}")
    return SHARED


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the temporary folder: text, bytes, or a picture of the size (w, h)."""

    def _write(name: str, content: str | bytes | tuple[int, int] = b"") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, tuple):
            Image.new("RGB", content, (90, 120, 150)).save(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return _write
