"""Our Parquet tables: what is read, and what is said of files that are not what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from detect_transfer.core.io import sha256_file
from detect_transfer.formats.parquet.reader import read as read_parquet
from detect_transfer.formats.parquet.writer import write_parquet


def vouch_for(root: Path, name: str, frame: pl.DataFrame) -> None:
    """Write another frame, and its hash into `schema.json`, as somebody does who means to."""
    frame.write_parquet(root / name)
    schema = json.loads((root / "schema.json").read_text())
    schema["files"][name]["sha256"] = sha256_file(root / name)
    (root / "schema.json").write_text(json.dumps(schema))


def test_read__finds_the_images_beside_or_where_it_is_given(sample: Any, tmp_path: Path) -> None:
    root = sample("parquet")
    assert read_parquet(root).image_root == root / "images"
    (root / "images").rename(tmp_path / "images")
    assert read_parquet(root).image_root == tmp_path / "images"
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    assert read_parquet(root).image_root is None
    assert read_parquet(root, images=tmp_path / "elsewhere").image_root == tmp_path / "elsewhere"


def test_read__files_from_before_a_column_was_added(sample: Any) -> None:
    root = sample("parquet")
    vouch_for(root, "boxes.parquet", pl.read_parquet(root / "boxes.parquet").drop("vis_ratio", strict=False))
    assert read_parquet(root).boxes["vis_ratio"].null_count() == read_parquet(root).boxes.height


def test_read__what_was_written_again_is_the_same(sample: Any, tmp_path: Path) -> None:
    table = read_parquet(sample("parquet"))
    write_parquet(table, tmp_path / "again")
    again = read_parquet(tmp_path / "again", images=table.image_root)
    assert again.boxes.equals(table.boxes)
    assert again.images["weather"].to_list() == ["rain", None]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        pytest.param("schema.json", None, "FILE_MISSING", id="no-schema"),
        pytest.param("schema.json", b"{", "JSON_SYNTAX", id="schema-cut"),
        pytest.param("schema.json", b"[]", "PARQUET_VERSION", id="schema-is-a-list"),
        pytest.param("schema.json", b'{"schema_version": 99}', "PARQUET_VERSION", id="later-version"),
        pytest.param("schema.json", b'{"schema_version": 1, "files": 3}', "PARQUET_SCHEMA", id="no-files"),
        pytest.param("schema.json", b'{"schema_version": 1, "files": {}}', "DATA_CHANGED", id="no-hashes"),
        pytest.param("boxes.parquet", None, "FILE_MISSING", id="no-boxes"),
        pytest.param("boxes.parquet", b"PAR1", "DATA_CHANGED", id="boxes-cut"),
    ],
)
def test_read__refuses_other_files(sample: Any, check_error: Any, name: str, content: bytes | None, code: str) -> None:
    root = sample("parquet")
    (root / name).unlink()
    if content is not None:
        (root / name).write_bytes(content)
    check_error(lambda: read_parquet(root), code, name)


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        pytest.param("boxes.parquet", pl.col("x1").cast(pl.Float32), "PARQUET_SCHEMA", id="other-type"),
        pytest.param("boxes.parquet", pl.lit(None, dtype=pl.Boolean).alias("ignore"), "PARQUET_VALUE", id="null-flag"),
        pytest.param("boxes.parquet", pl.lit(float("nan")).alias("occluded"), "PARQUET_VALUE", id="share-nan"),
        pytest.param("boxes.parquet", pl.lit(1.5).alias("truncated"), "PARQUET_VALUE", id="share-above-1"),
        pytest.param("boxes.parquet", pl.lit(float("nan")).alias("vis_x1"), "PARQUET_VALUE", id="visible-nan"),
        pytest.param("boxes.parquet", pl.lit(float("inf")).alias("vis_y2"), "PARQUET_VALUE", id="visible-inf"),
        pytest.param("boxes.parquet", pl.lit(b"\xff").alias("more"), "PARQUET_SCHEMA", id="bytes-beside-boxes"),
        pytest.param("images.parquet", pl.lit(b"\xff").alias("weather"), "PARQUET_SCHEMA", id="bytes"),
        pytest.param(
            *("images.parquet", pl.struct(a=pl.concat_list(pl.lit(b"\xff"))).alias("more"), "PARQUET_SCHEMA"),
            id="bytes-inside",
        ),
        pytest.param("boxes.parquet", pl.lit("[1]").alias("attributes"), "PARQUET_VALUE", id="attributes-no-object"),
        pytest.param("boxes.parquet", pl.lit("{").alias("attributes"), "PARQUET_VALUE", id="attributes-no-json"),
        pytest.param("boxes.parquet", pl.lit(float("nan")).alias("x1"), "BOX_INVALID", id="nan"),
        pytest.param("boxes.parquet", pl.lit(1000, dtype=pl.Int64).alias("image_id"), "ID_DANGLING", id="dangling"),
        pytest.param("images.parquet", pl.lit("../a.png").alias("file_name"), "PATH_OUTSIDE", id="leads-out"),
        pytest.param("images.parquet", pl.lit(None, dtype=pl.String).alias("file_name"), "PATH_OUTSIDE", id="no-name"),
    ],
)
def test_read__checks_what_the_tables_hold(
    sample: Any, check_error: Any, name: str, change: pl.Expr, code: str
) -> None:
    root = sample("parquet")
    vouch_for(root, name, pl.read_parquet(root / name).with_columns(change))
    check_error(lambda: read_parquet(root), code)


def test_read__a_file_that_is_no_parquet_but_vouched_for(sample: Any, check_error: Any) -> None:
    root = sample("parquet")
    vouch_for(root, "boxes.parquet", pl.DataFrame({"a": [1]}))
    check_error(lambda: read_parquet(root), "PARQUET_SCHEMA", "annotation_id")
    (root / "boxes.parquet").write_bytes(b"no parquet")
    schema = json.loads((root / "schema.json").read_text())
    schema["files"]["boxes.parquet"]["sha256"] = sha256_file(root / "boxes.parquet")
    (root / "schema.json").write_text(json.dumps(schema))
    check_error(lambda: read_parquet(root), "PARQUET_DAMAGED", "boxes.parquet")
