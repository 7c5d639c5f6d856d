"""Reading a results file: CSV, TSV, JSONL or Parquet into a table of labelled columns.

CSV fields stay text here. Guessing types would turn a seed ``010`` into 10 and an arm called
``None`` into a missing value; the score column alone is parsed, later, by ``PairedTable``.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

from stats.errors import StatsError, nearest

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a results file by its suffix (.csv, .tsv, .jsonl, .parquet).

    Returns one row per record. CSV and TSV columns hold text, the others what the file holds.
    Raises StatsError when the file is missing, has another suffix, is empty or is malformed
    (with the line where there is one).
    """
    import pandas as pd

    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise StatsError(
            f"cannot read the suffix '{suffix}'",
            place=str(file),
            value=suffix,
            hint=f"use one of {', '.join(SUFFIXES)}",
        )
    if not file.is_file():
        what = "is a folder, not a file" if file.is_dir() else "there is no such file"
        siblings = [p.name for p in file.parent.glob("*") if p.suffix.lower() in SUFFIXES]
        hint = nearest(file.name, sorted(siblings)) if siblings else "check the path"
        raise StatsError(what, place=str(file), value=str(file), hint=hint)
    try:
        if suffix == ".parquet":
            frame = pd.read_parquet(file)
        elif suffix == ".jsonl":
            frame = pd.DataFrame(_json_lines(file))
        else:
            frame = pd.DataFrame(_delimited(file, "," if suffix == ".csv" else "\t"))
    except StatsError:
        raise
    except UnicodeDecodeError as error:
        raise StatsError(
            f"is not UTF-8 text (byte {error.start})", place=str(file), hint="save it as UTF-8"
        ) from error
    except OSError as error:
        raise StatsError(f"cannot be read ({error.strerror or error})", place=str(file)) from error
    except Exception as error:
        # pyarrow raises many classes of its own for a damaged file; all mean the same to a reader.
        raise StatsError(
            f"is malformed ({error})", place=str(file), hint="write the file again"
        ) from error
    if frame.empty:
        raise StatsError(
            "holds no rows", place=str(file), hint="one row per run and cell is needed"
        )
    return frame


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with text columns in which every value is a number as numbers.

    Blank fields become missing values. What is not all numbers stays text; ``nan`` and ``inf``
    written out do not make a column numeric.
    """
    import pandas as pd

    out = frame.copy()
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column):
            continue
        text = column.astype("string").str.strip()
        blank = (text == "").fillna(True).astype(bool)
        words = text[~blank].str.lower().str.lstrip("+-").isin(["nan", "inf", "infinity"]).any()
        numbers = pd.to_numeric(text.mask(blank), errors="coerce")
        if not blank.all() and not words and not numbers[~blank].isna().any():
            out[name] = numbers.astype(float)
    return out


def _delimited(file: Path, delimiter: str) -> dict[str, list[str]]:
    # utf-8-sig drops the mark that spreadsheets put in front of the first column's name.
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            if not header:
                raise StatsError("is empty", place=str(file), hint="a line of column names first")
            twice = sorted({name for name in header if header.count(name) > 1})
            if twice:
                raise StatsError(
                    f"column '{twice[0]}' appears twice",
                    place=f"{file}, line 1",
                    value=twice[0],
                    hint="give each column its own name",
                )
            columns: dict[str, list[str]] = {name: [] for name in header}
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise StatsError(
                        f"{len(row)} fields where the header has {len(header)}",
                        place=f"{file}, line {reader.line_num}",
                        value=len(row),
                        hint="quote fields that contain the delimiter",
                    )
                for name, field in zip(header, row, strict=True):
                    columns[name].append(field.strip())
        except csv.Error as error:
            raise StatsError(
                f"is malformed ({error})", place=f"{file}, line {reader.line_num}"
            ) from error
    return columns


def _json_lines(file: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise StatsError(
                    f"is not JSON ({error.msg})", place=f"{file}, line {number}"
                ) from error
            if not isinstance(row, dict):
                raise StatsError(
                    f"holds a {type(row).__name__}, not an object",
                    place=f"{file}, line {number}",
                    hint='one {"arm": ..., "score": ...} per line',
                )
            rows.append(row)
    return rows
