"""Drawing files: images, contact sheets and videos."""

import json
from pathlib import Path

from PIL import Image

from detect_transfer.data.load import read_ground_truth
from detect_transfer.report.render import DrawPlan
from detect_transfer.workflows.visualize import visualize_files


def test_visualize_files__images_sheets_and_a_video(tmp_path: Path) -> None:
    truth = tmp_path / "t.json"
    images = [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 100} for i in (1, 2)]
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0}
    truth.write_text(json.dumps({"images": images, "annotations": [box], "categories": [{"id": 1, "name": "sign"}]}))
    for i in (1, 2):
        Image.new("RGB", (100, 100)).save(tmp_path / f"{i}.png")
    found = tmp_path / "found"
    found.mkdir()
    (found / "1.txt").write_text("sign 0.9 0 0 10 10\n")
    for name, plan, expected in (
        ("a", None, ["1.jpg", "2.jpg"]),
        ("b", DrawPlan(sheet=4), ["sheet_0001.jpg"]),
        ("c", DrawPlan(fps=2.0), ["all.mp4"]),
        ("d", DrawPlan(limit=1), ["1.jpg"]),
    ):
        written = visualize_files(read_ground_truth(truth, images=tmp_path), found, tmp_path / name, plan=plan)
        assert [path.name for path in written] == expected
        assert all(path.stat().st_size for path in written)
