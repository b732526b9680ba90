"""Exports: what was exported detects what the weights detect, and the gate catches it where it does not."""

import copy
import importlib
import json
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest
import torch

from detect_transfer.cli import main
from detect_transfer.config import Synthetic
from detect_transfer.core.annotations import XYXY, Detections
from detect_transfer.core.choices import ExportPrecision, ExportTarget, NmsPlace
from detect_transfer.core.errors import InputError, ProblemsError, ResourceError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.intake import Intake
from detect_transfer.data.load import read_ground_truth
from detect_transfer.data.run_data import draw_data
from detect_transfer.models.checkpoints import ASSETS, EMBEDDED
from detect_transfer.models.export.metadata import INPUT_FACTS
from detect_transfer.models.export.targets import TARGETS
from detect_transfer.models.export.to_onnx import OnnxSession, add_metadata
from detect_transfer.models.letterbox import PAD_MULTIPLE, PAD_VALUE, letterbox
from detect_transfer.models.predict import read_images
from detect_transfer.workflows.export import export_detector, export_targets
from detect_transfer.workflows.export_bundle import write_bundle
from detect_transfer.workflows.export_data import ExportData, data_of_weights
from detect_transfer.workflows.export_limits import LIMITS, GateLimits, HardLimits
from detect_transfer.workflows.export_options import ExportOptions
from detect_transfer.workflows.thresholds import is_best_label, one_label
from detect_transfer.workflows.trained_detector import TrainedDetector, load_trained

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytestmark = pytest.mark.usefixtures("one_thread")
IMGSZ = 200  # images of 256 px are scaled to it, and padded to 224


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "data"
    draw_data(Synthetic(task="source", train_images=4, val_images=8, size=256), folder, seed=3)
    return folder


@pytest.fixture(scope="module")
def trained() -> TrainedDetector:
    return replace(load_trained(EMBEDDED, device="cpu", imgsz=IMGSZ), exported_thresholds=None)


@pytest.fixture(scope="module")
def checked(data: Path, trained: TrainedDetector) -> ExportData:
    truth, train = (read_ground_truth(data, split=split) for split in ("val", "train"))
    return data_of_weights(trained, truth, train, None)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, trained: TrainedDetector, checked: ExportData) -> Path:
    """The embedded detector as ONNX and TorchScript."""
    out = tmp_path_factory.mktemp("exports") / "free"
    export_detector(trained, out, ExportOptions((ExportTarget.ONNX, ExportTarget.TORCHSCRIPT)), checked)
    return out


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run a command; return its exit code and what it shows."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0), "".join(capsys.readouterr())


def assert_same(first: Detections, second: Detections) -> None:
    """From a low score on, whose rank is not that of a hundred others, there is the same in both."""
    strong = [each.rows.filter(pl.col("score") > 0.02).sort("image_id", "score") for each in (first, second)]
    assert len(strong[0]) == len(strong[1]) > 10
    for columns, apart in ((XYXY, 0.01), (("score",), 1e-4), (("category_id",), 0)):
        np.testing.assert_allclose(*(each.select(columns).to_numpy() for each in strong), atol=apart, rtol=0)


def test_exported_models__detect_what_the_weights_detect(
    exported: Path, trained: TrainedDetector, checked: ExportData
) -> None:
    record = json.loads((exported / "export.json").read_text())
    assert [row["target"] for row in record["exported"]] == ["onnx", "torchscript"]
    own = trained.find(checked.files, trained.category_ids)
    for row in record["exported"]:
        assert abs(row["gate"]["AP"]["difference"]) < 1e-6
        assert row["gate"]["compared"] > 10
        assert (row["gate"]["vanished"], row["gate"]["appeared"], row["gate"]["failures"]) == (0, 0, [])
        assert set(row["layers"]) == {"fp32"}
        again = load_trained(exported / row["path"])
        assert (again.imgsz, again.category_ids) == (trained.imgsz, trained.category_ids)
        assert again.settings == trained.settings
        assert_same(own, again.find(checked.files, again.category_ids))


@pytest.fixture(scope="module")
def padded(tmp_path_factory: pytest.TempPathFactory, trained: TrainedDetector, checked: ExportData) -> Path:
    """The embedded detector for three images of 224 x 256 pixels, height first."""
    out = tmp_path_factory.mktemp("exports") / "fixed"
    written = export_detector(*of_two_sides(trained, out, checked, batch=3))[0]
    assert written.measured.endswith("for both, images were padded to all of 224x256 px")
    return written.path


def of_two_sides(trained: TrainedDetector, out: Path, checked: ExportData, batch: int | None = None) -> tuple[Any, ...]:
    """Return the arguments of an export for images of 200 x 250 pixels alone."""
    size = InputSize(IMGSZ, 250)
    seen = replace(checked, trained=replace(checked.trained, imgsz=size))
    return replace(trained, imgsz=size), out, ExportOptions(fixed_size=True, batch=batch), seen


def test_fixed_size_and_batch__pad_and_shift_back(padded: Path) -> None:
    record = json.loads((padded.parent / "export.json").read_text())
    assert (record["metadata"]["imgsz"], record["metadata"]["side"]) == ([200, 250], [224, 256])
    assert load_trained(padded, imgsz=(200, 250)).imgsz == InputSize(200, 250)
    assert record["exported"][0]["gate"]["largest_move_px"] < 0.01
    with pytest.raises(InputError, match=r"EXPORT_SIZE .*takes images of 200x250 px alone; leave --imgsz out"):
        load_trained(padded, imgsz=320)


def test_suppression_in_the_graph__chooses_the_same(
    tmp_path: Path, trained: TrainedDetector, checked: ExportData
) -> None:
    written = export_detector(trained, tmp_path / "out", ExportOptions(nms=NmsPlace.INSIDE), checked)[0]
    assert written.result is not None
    assert written.result.largest_move < 0.01
    inside = load_trained(written.path)
    assert_same(*(each.find(checked.files, trained.category_ids) for each in (trained, inside)))
    fewer = replace(inside, settings=inside.settings.model_copy(update={"max_detections": 3}))
    assert len(fewer.find(checked.files[:1], trained.category_ids).rows) == 3
    for flag, chosen in (
        ("--agnostic=True", {"agnostic": True}),
        ("--iou=0.3", {"nms_iou": 0.3}),
        ("--max-detections=301", {"max_detections": 301}),
    ):
        other = replace(inside, settings=inside.settings.model_copy(update=chosen))
        with pytest.raises(InputError, match=rf"EXPORT_NMS {flag} .*in the graph.*; leave it out"):
            other.find(checked.files[:1], trained.category_ids)


def without_padding(images: Any) -> Any:
    inner = np.moveaxis(images[:, :, 12:212, 28:228], 1, 3)
    return np.moveaxis(np.stack([cv2.resize(each, (256, 224)) for each in inner]), 3, 1)


FAULTS = {"bgr": lambda images: images[:, ::-1], "scale": lambda images: images // 2, "no padding": without_padding}


@pytest.mark.parametrize("fault", FAULTS)
def test_gate__catches_a_planted_fault_and_keeps_nothing(
    padded: Path,
    tmp_path: Path,
    trained: TrainedDetector,
    checked: ExportData,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    call = OnnxSession.__call__
    monkeypatch.setattr(
        OnnxSession, "__call__", lambda self, images: call(self, np.ascontiguousarray(FAULTS[fault](images)))
    )
    written = replace(TARGETS[ExportTarget.ONNX], write=lambda job, path: shutil.copyfile(padded, path))
    monkeypatch.setitem(TARGETS, ExportTarget.ONNX, written)
    with pytest.raises(
        ResourceError,
        match=r"EXPORT_GATE --to=onnx .*not kept: .*most in .*\.(png|jpg) \(\d+ of \d+\); give another --to",
    ):
        export_detector(*of_two_sides(trained, tmp_path / "out", checked))
    assert list(tmp_path.iterdir()) == []


def test_one_target_that_fails__leaves_those_that_pass(
    padded: Path,
    tmp_path: Path,
    trained: TrainedDetector,
    checked: ExportData,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of ONNX, TorchScript and one that cannot be written, the first one fails the gate."""

    def cannot(job: Any, path: Path) -> None:
        path.mkdir()
        (path / "half").touch()
        raise InputError("EXPORT_OPERATOR", "odd", field="--to", value="openvino", remedy="give --to torchscript")

    call = OnnxSession.__call__
    monkeypatch.setattr(
        OnnxSession, "__call__", lambda self, images: call(self, np.ascontiguousarray(FAULTS["scale"](images)))
    )
    monkeypatch.setitem(
        TARGETS,
        ExportTarget.ONNX,
        replace(TARGETS[ExportTarget.ONNX], write=lambda job, path: shutil.copyfile(padded, path)),
    )
    monkeypatch.setitem(TARGETS, ExportTarget.OPENVINO, replace(TARGETS[ExportTarget.OPENVINO], write=cannot))
    weights, out, options, seen = of_two_sides(trained, tmp_path / "out", checked)
    monkeypatch.setattr("detect_transfer.workflows.export.check_target", lambda *_: None)
    targets = (ExportTarget.ONNX, ExportTarget.OPENVINO, ExportTarget.TORCHSCRIPT)
    exports = export_targets(weights, out, replace(options, to=targets), seen)
    assert [each.path for each in exports.written] == [out / "model.torchscript"]
    assert sorted(path.name for path in out.iterdir()) == ["export.json", "model.torchscript"]
    record = json.loads((out / "export.json").read_text())
    assert [row["target"] for row in record["exported"]] == ["torchscript"]
    assert [(row["target"], row["code"]) for row in record["refused"]] == [
        ("onnx", "EXPORT_GATE"),
        ("openvino", "EXPORT_OPERATOR"),
    ]
    load_trained(out / "model.torchscript")
    with pytest.raises(
        ProblemsError, match=r"(?s)EXPORT_GATE --to=onnx .*model.torchscript in .*out is kept.*EXPORT_OPERATOR"
    ) as left:
        exports.raise_refused()
    assert left.value.exit_code == 3
    with pytest.raises(ProblemsError):
        export_detector(weights, tmp_path / "none", replace(options, to=targets[:2]), seen)
    assert not (tmp_path / "none").exists()


def test_weights_that_do_not_look_at_the_image__are_not_checked(
    tmp_path: Path, trained: TrainedDetector, checked: ExportData
) -> None:
    """Their first layer gives nothing, so that all images are one to them; a bias lets them detect something."""
    blind = copy.deepcopy(trained)
    module = blind.network.module
    first = next(layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d))
    first.weight.data.zero_()
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.out_channels == len(trained.class_names):
            assert layer.bias is not None
            layer.bias.data += 8.0
    seen = replace(checked, trained=replace(checked.trained, detector=blind.detector))
    with pytest.raises(
        InputError, match=r"EXPORT_GATE_BLIND .* the same as in grey images of the same sizes in 8 images"
    ):
        export_detector(blind, tmp_path / "out", ExportOptions((ExportTarget.TORCHSCRIPT,)), seen)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layers", ["chosen", "all"])
def test_int8__is_calibrated_on_training_images_and_the_gate_sees_what_it_costs(
    tmp_path: Path, trained: TrainedDetector, checked: ExportData, monkeypatch: pytest.MonkeyPatch, layers: str
) -> None:
    read = []
    monkeypatch.setattr(
        "detect_transfer.workflows.export.read_images",
        lambda files, *rest: read.extend(files) or read_images(files, *rest),
    )
    options = ExportOptions(precision=ExportPrecision.INT8, calibration_images=3)
    if layers == "all":
        quantise = importlib.import_module("onnxruntime.quantization").quantize_static
        monkeypatch.setattr(
            onnxruntime.quantization,
            "quantize_static",
            lambda source, target, reader, **_: quantise(source, target, reader),
        )
        for count, more in ((1, "give more --calibration-images, or "), (3, "")):  # of the few that there are
            each = replace(options, calibration_images=count)
            with pytest.raises(ResourceError, match=rf"EXPORT_GATE .* -> 0.0000 .*; {more}leave --precision int8 out"):
                export_detector(trained, tmp_path / "out", each, checked)
        assert list(tmp_path.iterdir()) == []
        return
    monkeypatch.setitem(LIMITS, ExportPrecision.INT8, GateLimits(0.2, 0.5, moves=False, hard=HardLimits(0.2, 0.5, 0.5)))
    written = export_detector(trained, tmp_path / "out", options, checked)[0]
    assert written.layers is not None
    assert written.layers["int8"] > 40
    assert written.layers["fp32"] > 5
    assert written.result is not None
    assert written.result.ap.interval is not None
    assert set(read) < set(checked.train)
    with pytest.raises(InputError, match=r"EXPORT_CALIBRATION .*give a run folder, or --data"):
        export_detector(trained, tmp_path / "other", options, replace(checked, train=[]))


def test_commands__take_an_exported_model_by_the_names_of_its_classes(
    exported: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = json.loads((exported / "export.json").read_text())["exported"][0]["gate"]
    code, shown = run(
        capsys, "evaluate", exported / "model.onnx", "--data", data, "--split", "val", "--out", tmp_path / "e"
    )
    assert code == 0, shown
    assert json.loads((tmp_path / "e" / "metrics.json").read_text())["AP"] == pytest.approx(gate["AP"]["weights"])
    assert "which images its weights were trained on and chosen by is not known" in shown
    code, shown = run(capsys, "predict", exported / "model.torchscript", data / "images/val", "--out", tmp_path / "p")
    assert code == 0, shown
    assert "input: 200 px, as it was exported" in shown
    words = ("predict", exported / "model.onnx", data / "images/val", "--half", "--out", tmp_path / "half")
    code, shown = run(capsys, *words)
    assert code == 2
    assert re.search(r"HALF_PRECISION --half - an exported model .*; leave it out", shown)
    assert not (tmp_path / "half").exists()


def test_wrong_things__are_a_line_with_a_remedy(
    exported: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = exported / "model.onnx", ("--out", tmp_path / "out")
    others = tmp_path / "others.onnx"
    others.write_bytes(model.read_bytes())
    add_metadata(others, {"stride": "32"})
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(model.read_bytes()[:1000])
    images = data / "images" / "val"
    for words, line in (
        (("export", EMBEDDED, *out), r"EXPORT_DATA --data - these weights are of no run"),
        (
            ("export", EMBEDDED, *out, "--precision", "int8", "--no-gate"),
            r"EXPORT_DATA .* no training images to calibrate INT8 on; give --data with a folder that has a training sp",
        ),
        (
            ("export", EMBEDDED, "--to", "onx", *out),
            r"OPTION --to=onx - there is no such choice; did you mean 'onnx'",
        ),
        (("export", EMBEDDED), r"USAGE arguments - a folder to write to was expected; give --out DIR"),
        (
            ("export", EMBEDDED, "--bundle", "a", "--out", "b"),
            r"USAGE --bundle=a - a bundle has a folder of its own, and --out names another; leave --out b out",
        ),
        (("export", EMBEDDED, "--no-gate", "--to", "coreml", *out), r"EXPORT_COREML --to=coreml - .*; give onnx"),
        (("export", model, "--no-gate", *out), r"WEIGHTS_EXPORTED .* give the run or the weights"),
        (("train", f"model.weights={model}"), r"WEIGHTS_EXPORTED .* give the run or the weights"),
        (("predict", others, images, *out), r"EXPORT_METADATA .*others.onnx - it has no metadata of detect-transfer"),
        (("predict", cut, images, *out), r"EXPORT_DAMAGED .*cut.onnx - onnxruntime .* cannot load it"),
        (("predict", tmp_path / "no.onnx", images, *out), r"FILE_MISSING .*no.onnx"),
        (("predict", model, images, *out, "--device", "cuda"), r"DEVICE_MISSING --device=cuda - .*leave --device out"),
    ):
        code, shown = run(capsys, *words)
        assert code == 2, shown
        assert len(shown.strip().splitlines()) <= 2, shown
        assert re.search(line, shown), shown
    assert not (tmp_path / "out").exists()


def test_operation_that_onnx_does_not_have__is_named(
    tmp_path: Path, trained: TrainedDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: Any, **__: Any) -> None:
        raise torch.onnx.errors.UnsupportedOperatorError("aten::odd", 17, None)

    monkeypatch.setattr(torch.onnx, "export", unsupported)
    with pytest.raises(InputError, match=r"EXPORT_OPERATOR --to=onnx .*aten::odd.*; give --to torchscript"):
        export_detector(trained, tmp_path / "out", ExportOptions(), None, gated=False)
    assert list(tmp_path.iterdir()) == []


def test_window_of_wide_values__goes_with_the_model_and_not_into_a_bundle(
    tmp_path: Path, trained: TrainedDetector
) -> None:
    wide = replace(trained, intake=Intake("fixed", 0.0, 4095.0))
    options = ExportOptions((ExportTarget.TORCHSCRIPT,))
    written = export_detector(wide, tmp_path / "out", options, None, gated=False)[0]
    assert load_trained(written.path).intake == wide.intake
    with pytest.raises(InputError, match=r"EXPORT_INTAKE --to=ultralytics-pt .*the window.*give --to onnx"):
        export_detector(wide, tmp_path / "pt", ExportOptions((ExportTarget.ULTRALYTICS_PT,)), None, gated=False)
    assert not (tmp_path / "pt").exists()
    with pytest.raises(InputError, match=r"EXPORT_BUNDLE --bundle .*images of 8 bits.*give --out DIR"):
        write_bundle(wide, tmp_path / "bundle", options, None, gated=False)


@pytest.mark.parametrize(
    ("form", "flag"),
    [
        ({"fixed_size": True}, "--fixed-size"),
        ({"batch": 3}, "--batch 3"),
        ({"nms": NmsPlace.INSIDE, "batch": 1}, "--batch 1 and --nms inside"),
    ],
)
def test_form_of_a_graph__is_not_asked_of_a_file_of_ultralytics(
    tmp_path: Path, trained: TrainedDetector, form: dict[str, Any], flag: str
) -> None:
    options = ExportOptions((ExportTarget.ONNX, ExportTarget.ULTRALYTICS_PT), **form)
    with pytest.raises(InputError, match=rf"EXPORT_FORM --to=ultralytics-pt .*leave {flag} out, or give --to onnx"):
        export_detector(trained, tmp_path / "pt", options, None, gated=False)
    assert not (tmp_path / "pt").exists()


def test_bundle__detects_without_this_package_what_predict_draws(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown = run(capsys, "export", EMBEDDED, "--data", data, "--bundle", tmp_path / "bundle", "--imgsz", "224x320")
    assert code == 0, shown
    bundle = tmp_path / "bundle"
    assert {path.name for path in bundle.iterdir()} == {
        *("README.md", "export.json", "infer.py", "model.onnx", "requirements.txt")
    }
    card = (bundle / "README.md").read_text()
    assert re.search(r"\| network \| ultralytics [\d.]+ \| AGPL-3.0 \|", card)
    assert "of 0 detections" not in card
    images = sorted((data / "images" / "val").iterdir())
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(images[0].read_bytes()[:2000])
    words = ["infer.py", "--score", "0.02", str(broken), *map(str, images)]
    blocked = (
        f"import sys, runpy; sys.modules.update(detect_transfer=None, torch=None); sys.argv = {words}; "
        f"runpy.run_path({str(bundle / 'infer.py')!r}, run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert re.fullmatch(r".*broken\.jpg is left out: .*\n", ended.stderr)
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [Path(row["file_name"]).name for row in rows] == [path.name for path in images]
    mine = [[*d["xyxy"], d["score"], d["category_id"], i] for i, row in enumerate(rows) for d in row["detections"]]
    trained = load_trained(EMBEDDED, device="cpu", imgsz="224x320")
    every = trained.find(list(enumerate(images)), trained.category_ids).rows.filter(pl.col("score") >= 0.02)
    own = one_label(Detections(every)).rows
    assert len(own) < len(every)
    theirs = own.select(*XYXY, "score", "category_id", "image_id").to_numpy()
    assert len(theirs) == len(mine) > 10
    apart = np.abs(np.array(mine)[:, None] - theirs) / [*[0.01] * 4, 1e-4, 0.1, 0.1]  # pixels, scores, class, image
    assert apart.max(axis=2).min(axis=0).max() < 1
    assert load_trained(bundle).path == bundle / "model.onnx"


@pytest.mark.parametrize("side", [None, [640, 960]], ids=["padded to a multiple", "padded to all"])
@pytest.mark.parametrize("imgsz", [640, [416, 704]], ids=str)
@pytest.mark.parametrize("own", [(300, 400), (480, 639), (641, 480), (800, 1360), (1280, 640), (1, 5), (2, 3000)])
def test_bundle__fits_images_as_predict_does(own: tuple[int, int], imgsz: Any, side: Any) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*own, 3), dtype=np.uint8)
    expected, fit = letterbox(image, InputSize.of(imgsz), multiple=PAD_MULTIPLE)
    outer = np.array(side or expected.shape[:2])
    top, left = (outer - expected.shape[:2]) // 2
    canvas = np.full((*outer, 3), PAD_VALUE, np.uint8)
    canvas[top : top + expected.shape[0], left : left + expected.shape[1]] = expected
    height, width = own
    box = fit.to_network(np.array([[0.0, 0.0, width, height]])) + np.tile([left, top], 2)

    class Session:
        def run(self, _: None, inputs: dict[str, Any]) -> tuple[Any, ...]:
            np.testing.assert_array_equal(inputs["images"][0].transpose(1, 2, 0), canvas)
            return box, np.array([0.9]), np.array([0])

    script = runpy.run_path(str(ASSETS / "infer.py.txt"))
    boxes, scores, labels = script["detect"](Session(), {"input": INPUT_FACTS, "imgsz": imgsz, "side": side}, image)
    np.testing.assert_allclose(boxes, [[0, 0, width, height]], atol=1e-9)
    assert (scores.tolist(), labels.tolist()) == ([0.9], [0])


def test_bundle__keeps_the_best_label_of_a_box_as_predict_does() -> None:
    best_labels = runpy.run_path(str(ASSETS / "infer.py.txt"))["best_labels"]
    generator = np.random.default_rng(0)
    for _ in range(50):
        first = generator.uniform(0, 50, (4, 2)).repeat(6, axis=0)
        boxes = np.hstack([first, first + 40]) + generator.uniform(0, 1.5, (24, 4))
        scores, labels = generator.choice([0.3, 0.5, 0.7, 0.9], 24), generator.integers(0, 3, 24)
        kept = best_labels(boxes, scores, labels)
        assert sorted(kept) == np.flatnonzero(is_best_label(boxes, scores, labels)).tolist()
        assert len(kept) < 24
    assert best_labels(boxes[:0], scores[:0], labels[:0]) == []
