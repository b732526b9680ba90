"""Two machines train one model, shown by two launchers on this one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT


@pytest.mark.slow
def test_two_launchers__train_one_model_in_one_run_folder(few_data: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    launch += ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    words = [f"data.path={few_data}", f"out={tmp_path / 'run'}", "model.weights=embedded", "train.device=cpu"]
    words += ["train.epochs=1", "train.batch=8", "train.imgsz=64", "train.cache=disk", "augment=none"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, *launch, "--node-rank", str(rank), str(ROOT / "tools" / "train.py"), *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, env=environment,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], said
    run = tmp_path / "run"
    assert [json.loads(line)["epoch"] for line in (run / "metrics.jsonl").read_text().splitlines()][:2] == [0, 1]
    assert "batch 8 on 2 devices, 4 each; the rates are those of the whole batch" in (run / "log.txt").read_text()
    assert (run / "weights" / "best.safetensors").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
