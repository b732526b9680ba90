"""Links out of a data folder are followed as long as its manifest says that `convert` made them."""

import json
from pathlib import Path

import pytest

from detect_transfer.core import io
from detect_transfer.core.errors import InputError


def test_manifest__counts_as_it_stands_now(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "images" / "a.png").symlink_to(tmp_path / "a.png")

    def write(image_mode: str) -> None:
        (root / "manifest.json").write_text(json.dumps({"options": {"image_mode": image_mode}}))

    write("link")
    with pytest.raises(InputError, match="PATH_OUTSIDE"):
        io.safe_join(root / "images", "a.png")  # no ledger, so no data folder
    (root / "ledger.json").write_text("{}")
    assert io.safe_join(root / "images", "a.png").read_bytes() == b"x"
    write("copy, and by hand")
    with pytest.raises(InputError, match="PATH_OUTSIDE"):
        io.safe_join(root / "images", "a.png")
    write("link")
    assert io.safe_join(root, "images/a.png").read_bytes() == b"x"
    (root / "ledger.json").unlink()
    with pytest.raises(InputError, match="PATH_OUTSIDE"):
        io.safe_join(root, "images/a.png")
