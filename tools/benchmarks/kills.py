"""Kill commands at random moments: is a file torn, and does what goes on afterwards end as if nothing had been?

    python tools/benchmarks/kills.py --convert 200 --predict 200 --train 60 --study 20 --processes 6

A command of its own process group gets SIGKILL after a random share of the time that a whole one takes. Then every file
under its final name must be whole, and the same command again, `--resume` for a training, must leave what one leaves
that nobody killed: to the byte, but for times. Prints a line a command, and ends with 1 where something differs. On the
CPU, one thread; some 2 s a kill, 30 s of a study.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psutil

os.environ["OMP_NUM_THREADS"] = "1"  # sums over threads come in any order

TIMES = re.compile(  # in keys of what depends on the clock, the machine, the folder or the loaded packages
    "seconds|per_second|waiting_share|created|written|began|ended|_mb|joules|Machines|sha256|command|"
    "out|folder|path|files|licences_of_code|^of$"
)
TIMED_SECTIONS = re.compile(r'<section id="(?:time|cost)">.*?</section>', re.DOTALL)  # of the page of a study
NOT_COMPARED = ("log.txt", "report.html", "manifest.json")  # they hold times and paths, as YAML does


def start(words: list[str], log: Path) -> int:
    """Run a command line in a forked process, which spares it the imports, and return its number."""
    sys.stdout.flush()
    number = os.fork()
    with suppress(OSError):
        os.setpgid(number, number)  # on both sides, so that it is done before the other goes on
    if number:
        return number
    with log.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    from detect_transfer.cli import main

    try:
        main(words)
    except SystemExit as left:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(left.code or 0))
    os._exit(0)


def finish(words: list[str], log: Path) -> int:
    """Run a command line to its end and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(start(words, log), 0)[1])


def killed(words: list[str], log: Path, seconds: float) -> None:
    """Run a command line, and kill it and what it started after so many seconds, unless it has ended."""
    number = start(words, log)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(number, os.WNOHANG)[0]:
            return
        time.sleep(0.002)
    os.killpg(number, signal.SIGKILL)
    os.waitpid(number, 0)


def without_times(value: Any) -> Any:
    """Return a JSON value without what depends on the clock, the machine or the folder."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if not TIMES.search(k)}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file, read by another process: one in which threads of polars run cannot fork.

    Raises:
        ValueError: It is torn.
    """
    reading, writing = os.pipe()
    if not (number := os.fork()):
        try:
            with os.fdopen(writing, "w") as stream:
                stream.write(json.dumps(pl.read_parquet(path).to_dicts(), default=str))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(number, 0)
    return list(json.loads(text))


def content(path: Path) -> Any:
    """Return what a file holds, for a comparison.

    Raises:
        ValueError: It is torn.
    """
    from detect_transfer.core.errors import InputError
    from detect_transfer.models.tensor_files import read_tensors
    from detect_transfer.training.checkpoint import read_states

    try:
        if path.suffix == ".safetensors":
            return {name: tensor.numpy().tobytes() for name, tensor in read_tensors(path)[0].items()}
        if path.name == "state.pt":
            return read_states(path) and None
    except InputError as error:
        raise ValueError(str(error)) from error
    if path.name == "study.html":
        return TIMED_SECTIONS.sub("", path.read_text())
    if path.suffix == ".parquet":
        return without_times(rows_of(path))
    if path.suffix == ".jsonl":
        return [without_times(json.loads(line)) for line in path.read_text().splitlines()]
    return without_times(json.loads(path.read_text())) if path.suffix == ".json" else path.read_bytes()


def files_of(folder: Path) -> Iterable[Path]:
    """Yield the files under their final names; what is being written begins with a point."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def torn(folder: Path) -> list[str]:
    """Return the files of a folder that are half written."""
    names = []
    for path in files_of(folder):
        try:
            content(path)
        except (ValueError, EOFError) as error:
            names.append(f"{path.relative_to(folder)}: {error}")
    return names


def result(folder: Path) -> dict[str, Any]:
    """Return what a command left, by the name of the file."""
    return {
        path.relative_to(folder).as_posix(): content(path)
        for path in files_of(folder)
        if path.name not in NOT_COMPARED
        and path.suffix not in (".yaml", ".lock")
        and not {"drawn", "logs"} & {*path.parts}
    }


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Args:
        words: Its words; they end with those that name the folder it writes.
        out: What stands before the name of that folder.
        last: The file that it writes last, so that what is in a folder without it is known to be a part; none where
            the folder itself comes last.
        again: The words that go on in a folder; None removes what is there in part and runs it again.
    """

    words: list[str]
    out: tuple[str, ...]
    last: str | None
    again: Callable[[Path], list[str]] | None = None

    def into(self, folder: Path) -> list[str]:
        """Return the whole command line that writes a folder."""
        *flags, last = self.out
        return [*self.words, *flags, f"{last}{folder}"] if last else [*self.words, *flags, str(folder)]


def kill_one(command: Command, folder: Path, seconds: float, whole: dict[str, Any]) -> str:
    """Kill a command, go on, and say how that ended: `equal`, or what is wrong."""
    log = folder.parent / "log"
    killed(command.into(folder), log, seconds)
    if folder.exists() and (half := torn(folder)):
        return f"torn: {half}"
    how = "equal"
    if command.again is None:
        if folder.exists() and (not command.last or (folder / command.last).exists()):
            return how if result(folder) == whole else f"in part: {sorted(result(folder))}"
        shutil.rmtree(folder, ignore_errors=True)
    words = command.into(folder) if command.again is None or not folder.exists() else command.again(folder)
    code = finish(words, log)
    said = log.read_text()
    if code and "RESUME_FINISHED" in said:
        code = 0
    elif code and ("RESUME_NOTHING" in said or "FILE_MISSING" in said):  # it was killed before its first epoch
        shutil.rmtree(folder)
        how, code = "equal, begun again", finish(command.into(folder), log)
    if code:
        return f"exit code {code}: {log.read_text()[-300:]}"
    return how if (different := differences(whole, result(folder))) is None else f"differs: {different}"


def differences(first: Any, second: Any, where: str = "") -> str | None:
    """Return where two values differ first, None where they are equal."""
    if isinstance(first, dict) and isinstance(second, dict):
        if odd := first.keys() ^ second.keys():
            return f"{where}: only one has {', '.join(sorted(odd)[:4])}"
        parts = ((f"{where}/{key}", first[key], second[key]) for key in first)
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        parts = ((f"{where}/{i}", *pair) for i, pair in enumerate(zip(first, second, strict=True)))
    else:
        return None if first == second else f"{where}: {str(first)[:60]} and {str(second)[:60]}"
    return next((found for name, a, b in parts if (found := differences(a, b, name)) is not None), None)


def kill_often(name: str, command: Command, count: int, moments: random.Random, keep: Path | None = None) -> bool:
    """Kill a command so many times; return whether all was right. What is left where it was not is copied to `keep`."""
    if not count:
        return True
    with tempfile.TemporaryDirectory() as place:
        clean = Path(place, "clean", "out")  # the page of a study has the name of its folder
        clean.parent.mkdir()
        began = time.monotonic()
        if code := finish(command.into(clean), Path(place, "log")):
            print(f"{name}: the command itself ended with {code}: {Path(place, 'log').read_text()[-300:]}")
            return False
        seconds, whole = time.monotonic() - began, result(clean)
        ended: Counter[str] = Counter()
        for number in range(count):
            folder = Path(place, str(number), "out")
            folder.parent.mkdir()
            how = kill_one(command, folder, moments.uniform(0, seconds), whole)
            ended[how] += 1
            print(f"{name} {number + 1} of {count}: {how}", file=sys.stderr, flush=True)
            if keep is not None and not how.startswith("equal"):
                shutil.copytree(folder.parent, keep / f"{name}-{number + 1}")
            shutil.rmtree(folder.parent)
    print(f"{name}, {seconds:.1f} s a whole one, {count} kills:")
    for how, times in ended.most_common():
        print(f"  {times:4d}  {how}")
    return all(how.startswith("equal") for how in ended)


def trained_by_two(words: list[str], log: Path, seconds: float | None = None, *, one: bool = True) -> float:
    """Train in two processes; kill one of them, or all, after so many seconds; return how long the others went on."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with log.open("w") as stream:
        launched = subprocess.Popen(
            [*command, "-m", "detect_transfer", *words], stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            launched.wait(seconds)
        except subprocess.TimeoutExpired:
            trains = [p for p in psutil.Process(launched.pid).children(recursive=True) if "RANK" in p.environ()]
            if one and trains:
                trains[-1].kill()
            else:
                os.killpg(launched.pid, signal.SIGKILL)
        began = time.monotonic()
        launched.wait(120)
    return time.monotonic() - began


def kill_processes(count: int, settings: list[str], moments: random.Random) -> bool:
    """Kill one of two processes that train, and all, in turn; return whether the others ended and all was equal."""
    if not count:
        return True
    ended: Counter[str] = Counter()
    longest = 0.0
    with tempfile.TemporaryDirectory() as place:
        log, clean = Path(place, "log"), Path(place, "clean")
        began = time.monotonic()
        trained_by_two(["train", *settings, f"out={clean}"], log)
        seconds, whole = time.monotonic() - began, result(clean)
        for number in range(count):
            folder = Path(place, str(number))
            words, moment = ["train", *settings, f"out={folder}"], moments.uniform(0, seconds)
            longest = max(longest, trained_by_two(words, log, moment, one=number % 2 == 0))
            half = torn(folder)
            if (folder / "weights" / "state.pt").exists():
                words = ["train", "--resume", str(folder)]
            else:
                shutil.rmtree(folder, ignore_errors=True)
            if not (folder / "manifest.json").exists():
                trained_by_two(words, log)
            different = differences(whole, result(folder))
            ended[f"torn: {half}" if half else "equal" if different is None else f"differs: {different}"] += 1
    print(f"two processes, {seconds:.1f} s a whole one, {count} kills, the others ended within {longest:.1f} s:")
    for how, times in ended.most_common():
        print(f"  {times:4d}  {how}")
    return set(ended) == {"equal"}


def make_data(root: Path) -> Path:
    """Draw scenes, eight to train on and six to score, and return their data folder."""
    from detect_transfer.config import Synthetic
    from detect_transfer.data.run_data import draw_data

    draw_data(Synthetic(task="target", train_images=8, val_images=6, size=64), root / "data", seed=3)
    return root / "data"


def main() -> None:
    """Kill each command as often as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("convert", "predict", "train", "study", "processes"):
        parser.add_argument(f"--{name}", type=int, default=0, help="how often it is killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", type=Path, help="a folder for what is left where something differs")
    chosen = parser.parse_args()
    import detect_transfer.workflows.train  # noqa: F401 - once, in the process that forks
    from detect_transfer.models.yolo.ultralytics import load_ultralytics

    load_ultralytics()
    with tempfile.TemporaryDirectory() as place:
        log, data = Path(place, "log"), Path(place) / "data"
        if not (number := os.fork()):  # so that no thread of a library runs in the process that forks
            make_data(Path(place))
            os._exit(0)
        os.waitpid(number, 0)
        settings = [
            "model.weights=embedded",
            "train.epochs=2",
            "train.imgsz=64",
            "train.batch=4",
            "train.precision=fp32",
        ]
        settings += ["train.device=cpu", f"data.path={data}"]
        study = {
            "data": {"path": str(data)},
            "model": {"weights": "embedded"},
            "train": {"epochs": 1, "imgsz": 64, "batch": 4, "precision": "fp32", "device": "cpu"},
            "study": {"arms": ["epoch0", "full"], "sizes": [100], "seeds": [0], "held_out": 0.3},
        }
        Path(place, "study.yaml").write_text(json.dumps(study))
        commands = {
            "convert": Command(["convert", "data_folder", str(data), "--to", "yolo,voc"], ("--out", ""), None),
            "predict": Command(["predict", "embedded", str(data / "images" / "val")], ("--out", ""), "images.json"),
            "train": Command(["train", *settings], ("out=",), None, lambda out: ["train", "--resume", str(out)]),
            "study": Command(
                ["study", "run", str(Path(place, "study.yaml"))],
                ("out=",),
                None,
                lambda out: ["study", "run", str(Path(place, "study.yaml")), f"out={out}"],
            ),
        }
        finish(["--help"], log)
        moments = random.Random(chosen.seed)
        right = [kill_often(name, each, getattr(chosen, name), moments, chosen.keep) for name, each in commands.items()]
        right.append(kill_processes(chosen.processes, settings, moments))
    sys.exit(not all(right))


if __name__ == "__main__":
    main()
