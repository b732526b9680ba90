"""What `import detect_transfer` offers: the names that it says, loaded when they are used, with examples that run."""

import doctest
import importlib
import inspect
import os
import shutil
import subprocess
import sys

import pytest
from paths import DATASETS, ROOT
from processes import loaded_after

import detect_transfer

CSV = DATASETS / "roboflow_csv" / "sample"
FUNCTIONS = [
    "read_dataset",
    "convert",
    "train",
    "load_detector",
    "predict",
    "evaluate",
    "export",
    "compare",
    "study",
]  # in this order


def test_all__is_sorted_and_is_what_can_be_imported() -> None:
    assert detect_transfer.__all__ == sorted(detect_transfer.__all__)
    assert {"__version__", *detect_transfer._MODULE_OF} == set(detect_transfer.__all__)
    for name in detect_transfer.__all__:
        value = getattr(detect_transfer, name)
        assert name == "__version__" or value.__doc__
        assert name in dir(detect_transfer)
    assert set(FUNCTIONS) == {n for n in detect_transfer.__all__ if inspect.isfunction(getattr(detect_transfer, n))}


def test_a_name_that_is_not_there__is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'convret'"):
        detect_transfer.convret  # noqa: B018
    with pytest.raises(ImportError):
        importlib.import_module("detect_transfer.convret")


def test_names_that_need_no_torch__load_none() -> None:
    words = ", ".join(name for name in detect_transfer.__all__)
    assert loaded_after(f"from detect_transfer import {words}") == set()
    code = "from detect_transfer import read_dataset\nread_dataset('datasets/gtsdb/sample', format='gtsdb')"
    assert loaded_after(code) == set()


def test_a_detector__leaves_no_temporary_folder_behind(tmp_path) -> None:
    code = "from detect_transfer import load_detector\nload_detector('embedded', device='cpu')"
    env = {**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=env)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the sample data sets, in which the examples run one after another."""
    folder = tmp_path_factory.mktemp("face")
    shutil.copytree(DATASETS / "roboflow_csv", folder / "datasets" / "roboflow_csv")
    return folder


def test_examples__print_what_they_say(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    for name in FUNCTIONS:
        function = getattr(detect_transfer, name)
        tests = doctest.DocTestFinder().find(function, name, globs={})
        assert sum(len(test.examples) for test in tests) >= 2, f"{name} has no example"
        for test in tests:
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            said: list[str] = []
            runner.run(test, out=said.append)
            assert runner.failures == 0, "".join(said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--version"], detect_transfer.__version__),
        (["-h"], "Usage"),
        (["--help"], "Usage"),
        (["train", "-h"], "Usage"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_python_m__shows_version_and_help(words, said) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "detect_transfer", *words], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: detect_transfer.read_dataset("no/such/folder"), "FILE_MISSING"),
        (lambda: detect_transfer.read_dataset(DATASETS / "gtsdb" / "sample"), "FORMAT_UNKNOWN"),
        (lambda: detect_transfer.read_dataset(DATASETS, format="gtsbd"), "FORMAT_UNKNOWN"),
        (lambda: detect_transfer.read_dataset(DATASETS / "coco" / "sample", oneBased=True), "OPTION_UNKNOWN"),
        (lambda: detect_transfer.train({"data": {}}), "CONFIG_VALUE"),
        (lambda: detect_transfer.load_detector("no/such/weights.pt"), "WEIGHTS_MISSING"),
        (lambda: detect_transfer.load_detector(DATASETS), "RUN_MISSING"),
        (lambda: detect_transfer.load_detector("yolo11mm"), "WEIGHTS_UNKNOWN"),
        (lambda: detect_transfer.predict("yolo11mm", DATASETS, "no/out"), "WEIGHTS_UNKNOWN"),
        (lambda: detect_transfer.predict("embedded", DATASETS, "no/out", score="high"), "OPTION"),
        (lambda: detect_transfer.predict("embedded", DATASETS, "no/out", score="auto"), "FILE_MISSING"),
        (lambda: detect_transfer.read_dataset(DATASETS, format=3), "FORMAT_UNKNOWN"),
        (lambda: detect_transfer.evaluate(DATASETS, DATASETS, "no/out", format=3), "FORMAT_UNKNOWN"),
        (lambda: detect_transfer.train(overrides="train.epochs=x"), "CONFIG_VALUE"),
        (lambda: detect_transfer.train(overrides=[1]), "CONFIG_OVERRIDE"),
        (lambda: detect_transfer.convert(CSV, "no/out", format="roboflow_csv", tragets="coco"), "OPTION_UNKNOWN"),
        (lambda: detect_transfer.convert(CSV, "no/out", format="roboflow_csv", targets="cooc"), "OPTION"),
        (lambda: detect_transfer.convert(CSV, "no/out", format="roboflow_csv", class_map={"a": 1}), "CLASS_MAP"),
    ],
)
def test_wrong_arguments__are_input_errors(call, code) -> None:
    with pytest.raises(detect_transfer.InputError) as error:
        call()
    assert error.value.code == code


def test_convert__takes_a_class_map_as_a_mapping_and_one_target_as_a_word(tmp_path) -> None:
    names = detect_transfer.read_dataset(CSV, format="roboflow_csv").class_names
    made = detect_transfer.convert(
        CSV, tmp_path / "out", format="roboflow_csv", targets="coco", class_map={"thing": names}, bad_boxes="fix"
    )
    assert made.table.class_names == ["thing"]
    assert not (tmp_path / "out" / "data.yaml").exists()


def test_train__needs_no_main_guard_in_a_script(tmp_path) -> None:
    script = tmp_path / "a.py"
    script.write_text(
        "from detect_transfer import train\n"
        "print('once')\n"
        "small = ['data.synthetic={train_images: 16, val_images: 8, size: 96}', 'train.imgsz=96', 'train.epochs=1']\n"
        "train(overrides=[*small, 'train.device=cpu', 'train.workers=1'], out='run')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script.name], capture_output=True, text=True, check=False, cwd=tmp_path, env=env
    )
    assert (done.returncode, done.stdout.count("once")) == (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run" / "report.html").is_file()
