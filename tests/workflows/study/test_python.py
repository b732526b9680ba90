"""The answers of a study are had from Python as the documentation says."""

import re
from pathlib import Path
from typing import Any

from fake_runs import plan_of, write_run
from paths import ROOT

from detect_transfer.workflows.study.run import prepare_store


def test_example_of_the_documentation__gives_a_plan_for_every_arm(tiny_data: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny_data, {"seeds": [0, 1, 2], "sizes": [100]}, tmp_path / "store")
    prepare_store(plan)
    for run in plan.runs:
        write_run(plan, run)
    text = (ROOT / "docs" / "reference" / "study.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    values: dict[str, Any] = {}
    exec(code.replace("studies/mine_study", str(tmp_path / "store")), values)
    assert set(values["plans"]) == {"scratch", "full"}
    assert "a learning curve needs 3" in values["plans"]["full"].reason
