"""The report's plain files: tidy CSV, JSON without NaN, Parquet. Every write is atomic."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.report.findings import RESULT_KEYS

if TYPE_CHECKING:
    import pandas as pd

WHOLE_NUMBERS = frozenset({"seed", "n_items", "attempts", "adapter_parameters", "block_parameters"})
"""Columns that pandas turns into floats as soon as one value is absent."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write beside the target and rename, so that a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        # mkstemp makes private files; a report is meant to be read by colleagues and web servers.
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def tidy_csv(frame: pd.DataFrame, keys: Sequence[str] = RESULT_KEYS) -> bytes:
    """The frame's columns as CSV, sorted by ``keys`` and then by all else.

    Floats are written by ``repr`` (they read back bit for bit), absent values are empty, lines end
    in a line feed: equal content gives equal bytes, whatever the order of the rows.
    """
    columns = [str(name) for name in frame.columns]
    at = [columns.index(name) for name in keys if name in columns]
    rows = sorted(
        zip(
            *([_cell(name, value) for value in frame[name].tolist()] for name in columns),
            strict=True,
        ),
        key=lambda row: ([_order(row[i]) for i in at], row),
    )
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8")


def json_bytes(data: Any) -> bytes:
    """Valid JSON, two spaces deep; a number that is not finite becomes null."""
    text = json.dumps(_jsonable(data), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")


def items_parquet(frame: pd.DataFrame) -> bytes:
    """Per-item outcomes: run_key, benchmark, item, correct, loglik (nats, float32)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "run_key": pa.array(frame["run_key"].tolist(), pa.string()).dictionary_encode(),
            "benchmark": pa.array(frame["benchmark"].tolist(), pa.string()).dictionary_encode(),
            "item": pa.array(frame["item"].to_numpy(), pa.int32()),
            "correct": pa.array(frame["correct"].to_numpy(), pa.bool_()),
            "loglik": pa.array(frame["loglik"].to_numpy(), pa.float32()),
        }
    )
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _cell(column: str, value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if column in WHOLE_NUMBERS and value.is_integer() else repr(value)
    text = str(value)
    return "" if text in ("<NA>", "NaT") else text


def _order(text: str) -> tuple[int, int, str]:
    return (0, int(text), "") if text.isdigit() else (1, 0, text)


def _jsonable(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _jsonable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_jsonable(value) for value in data]
    if hasattr(data, "item"):  # a numpy scalar
        data = data.item()
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data
