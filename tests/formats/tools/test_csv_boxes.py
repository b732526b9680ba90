"""CSV with a header of any names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.core.annotations import XYXY
from detect_transfer.formats.tools import csv_boxes

BOX = (10, 4, 30, 18)
OWN = "image=Foto,class=Art,x1=a,y1=b,x2=c,y2=d"
HEADERS = [
    pytest.param("image,xmin,ymin,xmax,ymax,label\na.png,10,4,30,18,car", {}, id="vott"),
    pytest.param('"Image";"Class";"Left";"Top";"Right";"Bottom"\n"a.png";car;10;4;30;18', {}, id="semicolons"),
    pytest.param("filename,width,height,class,xmin,ymin,xmax,ymax\na.png,40,20,car,10,4,30,18", {}, id="tensorflow"),
    pytest.param('image_id,width,height,bbox,label\na,40,20,"[10, 4, 20.0, 14]",car', {}, id="kaggle"),
    pytest.param("img,x,y,w,h,category\na.png,10,4,20,14,car", {}, id="sizes"),
    pytest.param("image,left,top,width,height,class\na.png,10,4,20,14,car", {}, id="left-top-width-height"),
    pytest.param("image,bbox_x,bbox_y,bbox_width,bbox_height,class\na.png,10,4,20,14,car", {}, id="bbox-columns"),
    pytest.param('image,bbox\na.png,"10 4 20 14"', {"class_name": "car"}, id="no-class"),
    pytest.param(
        "Foto,Art,a,b,c,d\na.png,car,10,4,30,18", {"columns": "image=Foto,class=Art,x1=a,y1=b,x2=c,y2=d"}, id="own"
    ),
    pytest.param('image,bbox,class\na.png,"[10, 4, 30, 18]",car', {"box_format": "xyxy"}, id="corners-in-one"),
    pytest.param("image,x1,y1,x2,y2,class\na.png,.25,.2,.75,.9,car", {"units": "shares"}, id="shares"),
    pytest.param("image,x,y,w,h,class\n/data/x/a.png,20,11,20,14,car", {"box_format": "cxcywh"}, id="centres"),
    pytest.param("image,x_center,y_center,width,height,class\na.png,20,11,20,14,car", {}, id="columns-of-centres"),
    pytest.param("image,cx,cy,w,h,class\na.png,.5,.55,.5,.7,car", {"units": "shares"}, id="shares-of-centres"),
    pytest.param("image,p,q,w,h,class\na.png,20,11,20,14,car", {"columns": "cx=p,cy=q"}, id="own-columns-of-centres"),
]


@pytest.fixture
def read(write: Any, tmp_path: Path) -> Any:
    write("images/a.png", (40, 20))

    def _read(text: str, name: str = "train.csv", **options: Any) -> Any:
        write(name, text + "\n")
        if "columns" in options:
            options["columns"] = options["columns"].split(",")
        return csv_boxes.read(tmp_path, **options)

    return _read


@pytest.mark.parametrize(("text", "options"), HEADERS)
def test_header__of_any_names(text: str, options: dict[str, Any], read: Any) -> None:
    table = read(text, **options)
    assert table.images.select("file_name", "split").rows() == [("images/a.png", "train")]
    assert table.boxes.select(XYXY).row(0) == pytest.approx(BOX)
    assert table.class_names == ["car"]


FAULTS = [
    pytest.param("image,a,b,c,d,class\na.png,1,2,3,4,car", "CSV_HEADER", "recognised as x1, y1, w, h", id="no-box"),
    pytest.param("image,x1,y1,x2,y2\na.png,1,2,3,4", "CSV_HEADER", "columns=image=photo", id="no-class"),
    pytest.param("image,bbox,class\na.png,[1 2 3],car", "ROW_NUMBER", "train.csv:2", id="three-numbers"),
    pytest.param("image,bbox,class\na.png,[1 2 3 x],car", "ROW_NUMBER", "train.csv:2", id="no-number"),
    pytest.param(
        "image,x1,y1,x2,y2,class\n/c/x/a.png,1,2,3,4,car\n/c/y/a.png,1,2,3,4,car",
        *("ID_DUPLICATE", "train.csv:3 image=/c/y/a.png - 'images/a.png' is the image of '/c/x/a.png' too"),
        id="two-paths-of-an-image",
    ),
    pytest.param("image,x1,y1,x2,y2,class\na.png,1,2,,4,car", "ROW_NUMBER", "x2", id="one-empty"),
    pytest.param("image,x1,y1,x2,y2,class\na.png,1,2,3,4,", "ROW_FIELD", "class", id="class-empty"),
    pytest.param("image,x1,y1,x2,y2,class\n,1,2,3,4,car", "ROW_FIELD", "path", id="image-empty"),
    pytest.param("image,x1,y1,x2,y2,class\nb.png,1,2,3,4,car", "IMAGE_MISSING", "b.png", id="image-missing"),
    pytest.param("", "CSV_HEADER", "train.csv", id="empty"),
]


@pytest.mark.parametrize(("text", "code", "part"), FAULTS)
def test_faults__name_the_place(text: str, code: str, part: str, read: Any, check_error: Any) -> None:
    check_error(lambda: read(text), code, part)


def test_size__of_the_image_must_be_the_one_stated(read: Any, check_error: Any) -> None:
    head = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    check_error(lambda: read(f"{head}a.png,80,40,car,10,4,30,18"), "IMAGE_SIZE", "80 x 40", "size_mismatch=keep")
    assert read(f"{head}a.png,80,40,car,10,4,30,18", size_mismatch="keep").boxes.select(XYXY).row(0) == BOX
    check_error(
        lambda: read('image_id,width,height,bbox,label\na,80,40,"[10, 4, 20, 14]",car'), "IMAGE_SIZE", "80 x 40"
    )
    for sizes in ("20,14", ",", "none,40"):  # of the box, or no size
        assert read(f"{head}a.png,{sizes},car,10,4,30,18").boxes.select(XYXY).row(0) == BOX


def test_versions__side_by_side_are_noted(read: Any) -> None:
    text = "image,x1,y1,x2,y2,class\nimages/a.png,1,2,3,{},car"
    read(text.format(4))
    table = read(text.format(5), name="train_v2.csv")
    assert len(table.boxes) == 2
    assert [(line.action, line.count, line.examples) for line in table.reading] == [("noted", 1, ("images/a.png",))]


def test_columns__of_another_name_are_refused(read: Any, check_error: Any) -> None:
    check_error(lambda: read("image,x1\n", columns="picture=a"), "OPTION_VALUE", "picture", "columns=image=photo")


def test_split__by_column_and_images_without_boxes(read: Any, write: Any, tmp_path: Path) -> None:
    write("images/b.png", (40, 20))
    write("images/other.png", (40, 20))
    table = read("image,x1,y1,x2,y2,class,split\na.png,1,2,3,4,car,valid\nb.png,,,,,,train", name="all.csv")
    assert table.images.select("file_name", "split").rows() == [("images/a.png", "val"), ("images/b.png", "train")]
    assert len(table.boxes) == 1
