"""The memory that may be taken: within every control group around the process, caches of files not counted as used."""

from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from detect_transfer.core.memory import available_memory


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def system(root: Path, line: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"5:cpu:/elsewhere\n{line}\n")
    return root / "sys/fs/cgroup"


def test_machine__without_groups_is_what_counts(tmp_path: Path) -> None:
    assert available_memory(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_groups__of_version_2_all_count(tmp_path: Path) -> None:
    mount = system(tmp_path, "0::/user/job")
    group(mount / "user", memory__max="3000", memory__current="2900", memory__stat="anon 100\ninactive_file 600")
    group(mount / "user/job", memory__max="max", memory__current="10", memory__stat="inactive_file 0")
    assert available_memory(tmp_path) == 700
    group(mount / "user/job", memory__max="50")
    assert available_memory(tmp_path) == 40


@pytest.mark.parametrize("where", ["docker/7f", "."], ids=["as named", "of a container"])
def test_groups__of_version_1(tmp_path: Path, where: str) -> None:
    mount = system(tmp_path, "4:memory:/docker/7f")
    files = {"limit_in_bytes": "1000", "usage_in_bytes": "800", "stat": "total_inactive_file 300"}
    group(mount / "memory" / where, **{f"memory__{name}": text for name, text in files.items()})
    assert available_memory(tmp_path) == 500


def test_a_group__over_its_limit_leaves_nothing(tmp_path: Path) -> None:
    group(system(tmp_path, "0::/"), memory__max="5", memory__current="9", memory__stat="")
    assert available_memory(tmp_path) == 0
