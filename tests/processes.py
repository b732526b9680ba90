"""What a new Python process loads."""

import json
import subprocess
import sys

from paths import ROOT


def loaded_after(code: str) -> set[str]:
    """Return which of torch and ultralytics a process has loaded after some code, run in the checkout."""
    code += "\nimport sys, json; print(json.dumps([m for m in ('torch', 'ultralytics') if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))
