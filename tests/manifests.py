"""Data folders and runs whose files a test has edited."""

import json
from hashlib import sha256
from pathlib import Path


def restamp(data: Path) -> None:
    """Let the manifest of a data folder vouch for its annotations as they are now."""
    path = data / "manifest.json"
    manifest = json.loads(path.read_text())
    for file in (data / "annotations").iterdir():
        content = file.read_bytes()
        facts = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
        manifest["files"][file.relative_to(data).as_posix()] = facts
    path.write_text(json.dumps(manifest))


def unstate(run: Path, name: str) -> None:
    """Let the manifest of a run say nothing of a file, as the remedy of `RUN_CHANGED` has it."""
    path = run / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["files"][name]
    manifest.pop("content_sha256", None)
    path.write_text(json.dumps(manifest))
