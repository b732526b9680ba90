"""Change one bit, one digit or one whole file of a run or a study: is it said, or is the result the same?

    python tools/benchmarks/changed_folders.py --study 3 --run 3

A tiny run and a tiny study are trained first. Then files of theirs are changed one at a time, so many times each: a bit
anywhere; a digit of a text, which reads as well as before; or the whole file, which is replaced by that of another run.
A command that reads them must say so, by an error or in a line that it does not print otherwise, or come to the same
result. Prints a line a command and every change that another number came of without a word, and ends with 1 where there
is one, or a traceback. On the CPU, one thread; about a second a change.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from kills import finish, make_data, result

SAID = re.compile(r"\b[A-Z]+_[A-Z]+\b|warning|failed|have not ended|are not used|denied")
TIMES = re.compile(r"\d[\d.]* (?:s|ms|min|h)\b|\d+(?:\.\d+)? images/s")
KEY = re.compile(r"\b[0-9a-f]{20}\b")  # of a run of a study
TEXTS = {".json", ".jsonl", ".yaml", ".txt", ".csv"}
NOT_READ = {".lock", ".html", ".jpg", ".png"}  # by no command: pages, drawings


@dataclass(frozen=True)
class Ended:
    """What a command came to.

    Args:
        code: Its exit code.
        lines: What it printed, without times.
        result: What it wrote.
    """

    code: int
    lines: frozenset[str]
    result: Any


@dataclass(frozen=True)
class Reader:
    """A command that reads a folder.

    Args:
        words: Its command line, for the folder and for one that it may write.
        result: What it came to, of both folders; without it what it printed.
    """

    words: Callable[[Path, Path], list[str]]
    result: Callable[[Path, Path], Any] | None = None

    def of(self, folder: Path, place: Path) -> Ended:
        """Run it."""
        out, log = place / "out", place / "log"
        shutil.rmtree(out, ignore_errors=True)
        code = finish(self.words(folder, out), log)
        text = TIMES.sub("TIME", log.read_text().replace(str(place), "PLACE"))
        lines = frozenset(" ".join(line.split()) for line in text.splitlines())
        return Ended(code, lines, self.result(folder, out) if self.result and not code else sorted(lines))


def outcome(whole: Ended, now: Ended) -> str:
    """Say in a word how a command took a change."""
    if now.code not in (0, 2, 3) or any("Traceback" in line for line in now.lines):
        return "BUG"
    if now.code != whole.code:
        return "refused"
    if now.result == whole.result:
        return "the same"
    return "said" if any(SAID.search(line) for line in now.lines - whole.lines) else "SILENT"


def changed(path: Path, kind: str, draws: random.Random) -> tuple[bytes, str] | None:
    """Return the bytes of a file with one change, and the change in words; None where the file has none of the kind."""
    data = bytearray(path.read_bytes())
    if kind == "bit" and data:
        position, bit = draws.randrange(len(data)), draws.randrange(8)
        data[position] ^= 1 << bit
        return bytes(data), f"bit {bit} of byte {position}"
    places = [i for i, byte in enumerate(data) if 48 <= byte <= 57] if path.suffix in TEXTS else []
    if kind != "digit" or not places:
        return None
    position = draws.choice(places)
    before, data[position] = chr(data[position]), draws.choice([d for d in b"0123456789" if d != data[position]])
    around = bytes(data[max(0, position - 40) : position + 10]).decode(errors="replace")
    return bytes(data), f"{before} to {chr(data[position])} in ...{' '.join(around.split())}"


def exchanged(folder: Path, path: Path) -> tuple[bytes, str] | None:
    """Return the bytes of the same file of another run, and the change in words; None where there is no other."""
    parts = path.relative_to(folder).parts
    for depth, part in enumerate(parts):
        for other in sorted((folder / Path(*parts[:depth])).iterdir()):
            twin = other.joinpath(*parts[depth + 1 :])
            alike = other.name != part and other.suffix == Path(part).suffix and twin.is_file()
            if alike and twin.read_bytes() != path.read_bytes() and len(other.name) == len(part):
                return twin.read_bytes(), f"that of {other.name}"
    return None


def copied(base: Path, folder: Path) -> None:
    """Put a copy of a folder at a place; files are links, since every command replaces what it writes."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder, copy_function=os.link)


def files_of(base: Path) -> dict[str, list[Path]]:
    """Return the files that commands read; those of the runs of a study, which are named by their keys, together."""
    files: dict[str, list[Path]] = {}
    for path in sorted(base.rglob("*")):
        if path.is_file() and path.suffix not in NOT_READ:
            files.setdefault(KEY.sub("KEY", path.relative_to(base).as_posix()), []).append(path)
    return files


def change_all(name: str, reader: Reader, base: Path, count: int, seed: int) -> bool:
    """Change each file of a folder; print how a command took it, and return whether all was said."""
    draws, ended, silent = random.Random(seed), Counter[str](), []
    place = base.parent / "place"
    place.mkdir(exist_ok=True)
    folder = place / base.name
    copied(base, folder)
    whole = reader.of(folder, place)
    if whole.code not in (0, 2):
        print(f"{name}: it ended with {whole.code} before any change: {(place / 'log').read_text()[-300:]}")
        return False
    for twins in files_of(base).values():
        for kind in (*["bit", "digit"] * count, "file"):
            path = draws.choice(twins)
            change = exchanged(base, path) if kind == "file" else changed(path, kind, draws)
            if change is None:
                continue
            copied(base, folder)
            target = folder / path.relative_to(base)
            target.unlink()
            target.write_bytes(change[0])
            how = outcome(whole, now := reader.of(folder, place))
            print(f"{name}: {path.relative_to(base)}: {change[1]}: {how}", file=sys.stderr, flush=True)
            ended[how] += 1
            if how in ("SILENT", "BUG"):
                silent.append(f"  {how}: {path.relative_to(base)}: {change[1]}")
                silent += [f"      {line}" for line in sorted(now.lines - whole.lines)[:3]]
    shutil.rmtree(place)
    print(
        f"{name}: " + ", ".join(f"{times} {how}" for how, times in ended.most_common()), *silent, sep="\n", flush=True
    )
    return not silent


def study_answers(folder: Path, _: Path) -> Any:
    """Return what the report of a study says."""
    return {k: v for k, v in json.loads((folder / "study.json").read_text()).items() if k != "files"}


def without_digests(words: list[str]) -> Callable[[Path, Path], list[str]]:
    """Return the command line of a study whose digests are removed first, so that it reads the runs themselves."""

    def of(folder: Path, _: Path) -> list[str]:
        shutil.rmtree(folder / "digests", ignore_errors=True)
        return [*words, str(folder)]

    return of


def written(_: Path, out: Path) -> Any:
    """Return what a command wrote."""
    return result(out)


def readers_of_run(images: Path, other: Path) -> dict[str, Reader]:
    """Return the commands that read a run."""
    return {
        "predict RUN": Reader(lambda run, out: ["predict", str(run), str(images), "--out", str(out)], written),
        "evaluate RUN": Reader(lambda run, out: ["evaluate", str(run), "--out", str(out)], written),
        "check RUN": Reader(lambda run, out: ["check", str(run), "--out", str(out)], written),
        "average RUN RUN": Reader(lambda run, out: ["average", str(run), str(other), "--out", str(out)], written),
        "compare RUN RUN": Reader(lambda run, out: ["compare", str(run), str(other), "--out", str(out)], written),
        "train --resume RUN": Reader(lambda run, _: ["train", "--resume", str(run)]),
        "verify RUN": Reader(lambda run, _: ["verify", str(run), "--stored-only"]),
        "export RUN": Reader(lambda run, out: ["export", str(run), "--out", str(out)], written),
    }


READERS_OF_STUDY = {
    "study report": Reader(lambda study, _: ["study", "report", str(study)], study_answers),
    "study report, no digests": Reader(without_digests(["study", "report"]), study_answers),
    "study resume": Reader(lambda study, _: ["study", "resume", str(study)], study_answers),
    "study extend": Reader(lambda study, _: ["study", "extend", str(study), "study.seeds=[0,1]"], study_answers),
    "verify STUDY": Reader(lambda study, _: ["verify", str(study), "--stored-only"]),
}


def main() -> None:
    """Change files as often as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=int, default=0, help="bits and digits of each file of a study")
    parser.add_argument("--run", type=int, default=0, help="bits and digits of each file of a run")
    parser.add_argument("--commands", nargs="*", help="those alone")
    parser.add_argument("--base", type=Path, help="a folder of an earlier call, to take its run and study again")
    parser.add_argument("--seed", type=int, default=0, help="of the changes")
    chosen = parser.parse_args()
    for name in (
        "average",
        "compare",
        "export",
        "label_errors",
        "predict",
        "study.report",
        "study.run",
        "study.verify",
    ):
        import_module(f"detect_transfer.workflows.{name}")  # once, in the process that forks
    from detect_transfer.models.yolo.ultralytics import load_ultralytics
    from detect_transfer.workflows import train  # noqa: F401 - as above
    from detect_transfer.workflows.study import process

    load_ultralytics()
    with tempfile.TemporaryDirectory() as scratch:
        place = chosen.base or Path(scratch)
        if not (place / "done").exists():
            make_folders(place, study=bool(chosen.study))
        # a run that counts as another after a change would be trained: it fails at once instead, which is said
        process.run_command = lambda *_: ["false"]  # type: ignore[assignment]
        right = []
        readers = {**readers_of_run(place / "data" / "images" / "val", place / "other"), **READERS_OF_STUDY}
        for name, reader in readers.items():
            base, count = ("study", chosen.study) if name in READERS_OF_STUDY else ("run", chosen.run)
            if count and (not chosen.commands or name in chosen.commands):
                right.append(change_all(name, reader, place / base, count, chosen.seed))
    sys.exit(not all(right))


def make_folders(place: Path, *, study: bool) -> None:
    """Train two runs and a study."""
    place.mkdir(exist_ok=True)
    if not (number := os.fork()):  # so that no thread of a library runs in the process that forks
        make_data(place)
        os._exit(0)
    os.waitpid(number, 0)
    data, log = place / "data", place / "log"
    settings = {"imgsz": 64, "batch": 4, "precision": "fp32", "device": "cpu"}
    words = ["model.weights=embedded", "train.epochs=1", *(f"train.{key}={value}" for key, value in settings.items())]
    codes = [
        finish(["train", *words, f"train.seed={seed}", f"data.path={data}", f"out={place / name}"], log)
        for seed, name in enumerate(("run", "other"))
    ]
    if study:
        content = {
            "data": {"path": str(data)},
            "model": {"weights": "embedded"},
            "train": {**settings, "epochs": 1},
            "study": {"arms": ["epoch0", "full"], "sizes": [100], "seeds": [0, 1], "held_out": 0.3},
        }
        (place / "study.yaml").write_text(json.dumps(content))
        codes.append(finish(["study", "run", str(place / "study.yaml"), f"out={place / 'study'}"], log))
    if any(codes):
        sys.exit(f"a training ended with {codes}: {log.read_text()[-300:]}")
    (place / "done").touch()


if __name__ == "__main__":
    main()
