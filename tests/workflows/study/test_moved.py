"""A study whose folder was moved: what lies in it is found there, whatever place its runs were begun in."""

import shutil
from pathlib import Path

from fake_runs import plan_of

from detect_transfer.data.split_file import load_split_file
from detect_transfer.workflows.resume import resume_config
from detect_transfer.workflows.study.folder import load_study
from detect_transfer.workflows.study.plan import make_study_plan
from detect_transfer.workflows.study.process import run_command
from detect_transfer.workflows.study.report import report_study
from detect_transfer.workflows.study.run import prepare_store
from detect_transfer.workflows.study.verify import verify_study
from detect_transfer.workflows.train import train


def test_study_that_was_moved__goes_on_and_is_verified_where_it_lies_now(tiny_data: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_data, tmp_path / "old" / "data")
    given = {"arms": ["epoch0"], "sizes": [100], "seeds": [0, 1]}
    plan = plan_of(tmp_path / "old" / "data", given, tmp_path / "old" / "store", imgsz=64)
    prepare_store(plan)
    done, stopped = plan.runs
    train(plan.config_of(done), name="run", command="")
    report_study(plan)
    begun = plan.folder.run(stopped.key)
    begun.state.parent.mkdir(parents=True)
    begun.state.touch()
    shutil.copy(plan.folder.run_config(stopped.key), begun.config)

    (tmp_path / "old").rename(tmp_path / "new: #1")
    config, folder = load_study(tmp_path / "new: #1" / "store", (f"data.path='{tmp_path / 'new: #1' / 'data'}'",))
    prepare_store(make_study_plan(config, folder))
    checks = verify_study(folder.path, predict=False)
    assert not [check for check in checks if check.outcome == "denied"]
    data = [check for check in checks if check.name.endswith("data_sha256")]
    assert [check.outcome for check in data] == ["confirmed"]
    *_, resume, path, first, second = run_command(folder, stopped.key)
    assert (resume, path) == ("--resume", str(folder.run(stopped.key).path))
    there = resume_config(folder.run(stopped.key).path, [first, second]).data
    assert there.path == (tmp_path / "new: #1" / "data").resolve()
    assert there.split_file == folder.split_file(100.0).resolve()
    assert load_split_file(there.split_file)
