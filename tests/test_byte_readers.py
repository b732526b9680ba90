"""The readers that take bytes apart by themselves: what fuzzers found, and a long search for more."""

import importlib.util
import subprocess
import sys

import pytest
from byte_readers import CORPUS, TARGETS
from paths import ROOT

RUNS = 100_000


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_once__does_no_harm(name: str) -> None:
    for data in (b"", *TARGETS[name].seeds(), *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))):
        TARGETS[name].feed(data)


@pytest.mark.fuzz_long
@pytest.mark.timeout(0)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("name", TARGETS)
def test_long__a_fuzzer_finds_nothing(name: str) -> None:
    command = [sys.executable, str(ROOT / "tests" / "byte_readers.py"), name, f"-runs={RUNS}", "-rss_limit_mb=4096"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
