"""Tables from files or data frames, as lazy narwhals frames over DuckDB.

DuckDB has a hard memory limit and spills to disk, so a table may be larger than memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import narwhals as nw
import pyarrow as pa

from shortlist.errors import DataError, did_you_mean

ROW = "_row"  # position in the source: the last word where timestamps tie
Source = str | Path | Any  # a file, or a Polars, pandas or PyArrow frame

_PARQUET = (".parquet", ".pq")
_DELIMITERS = {".tsv": "\t", ".tab": "\t"}


class TableReader:
    """Opens tables on one private DuckDB connection.

    Args:
        memory_limit: most memory DuckDB may take before it spills, such as ``"4GB"``.

    >>> with TableReader() as reader:
    ...     reader.open(pa.table({"u": [1, 2]}), "interactions").collect().columns
    ['u', '_row']
    """

    def __init__(self, memory_limit: str = "512MB") -> None:
        self._numbers = itertools.count()
        try:
            self.connection = duckdb.connect(
                config={
                    "memory_limit": memory_limit,
                    "preserve_insertion_order": "true",
                    "autoinstall_known_extensions": "false",
                    "autoload_known_extensions": "false",
                }
            )
        except duckdb.Error as error:
            raise DataError(
                f'data.memory_limit: cannot use {memory_limit!r} ({error}); write for example "4GB".'
            ) from None

        self.connection.execute("set TimeZone = 'UTC'")  # times without a zone are UTC, wherever this runs
        self.connection.execute("set enable_progress_bar = false")  # it would be drawn on standard output

    def __enter__(self) -> TableReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def open(self, source: Source, name: str, id_columns: Collection[str] = ()) -> nw.LazyFrame[Any]:
        """Open one table and number its rows.

        Args:
            source: CSV, TSV or Parquet file (``.gz``, ``.zst`` for text), or a data frame.
            name: what the table is, for messages.
            id_columns: columns that hold ids; text files keep them as they are written (``007`` is not ``7``).

        Raises:
            DataError: the file cannot be read or is empty of columns.
        """
        try:
            if isinstance(source, (str, Path)):
                relation = self._read_file(Path(source), name, id_columns)
            else:
                relation = self.connection.from_arrow(_to_arrow(source, name))
            frame: nw.LazyFrame[Any] = nw.from_native(relation.project(f"*, row_number() over () - 1 as {ROW}")).lazy()
            frame.collect_schema()
        except (duckdb.Error, UnicodeDecodeError, pa.ArrowInvalid) as error:
            reason = str(error).strip().splitlines()[0]
            raise DataError(
                f"Cannot read the {name} from {source}: {reason}. Expected CSV, TSV or Parquet with a header row."
            ) from None
        return frame

    def materialise(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """Compute a frame once, into a table of this connection that may spill to disk."""
        name = f"step_{next(self._numbers)}"
        nw.to_native(frame).create(name)
        result: nw.LazyFrame[Any] = nw.from_native(self.connection.table(name)).lazy()
        return result

    def _read_file(self, path: Path, name: str, id_columns: Collection[str]) -> Any:
        if not path.is_file():
            raise DataError(
                f"Cannot read the {name}: there is no file {path}. Check the path; paths in a settings file are relative to it."
            )
        suffix = _suffix(path)
        if suffix in _PARQUET:
            return self.connection.read_parquet(str(path))
        options: dict[str, Any] = {"header": True}
        if suffix in _DELIMITERS:
            options["delimiter"] = _DELIMITERS[suffix]
        header = self.connection.read_csv(str(path), **options).columns
        if texts := {column: "VARCHAR" for column in id_columns if column in header}:
            options["dtype"] = texts
        return self.connection.read_csv(str(path), **options)


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".zst")]
    return suffixes[-1] if suffixes else ""


def is_text(source: Source | Mapping[str, Source]) -> bool:
    """Whether a table (or each of several) is a text file, in which ids are just characters."""
    if isinstance(source, Mapping):
        return all(is_text(one) for one in source.values())
    return isinstance(source, (str, Path)) and _suffix(Path(source)) not in _PARQUET


@contextmanager
def errors_explained() -> Iterator[None]:
    """Turn the engine's errors, such as a value that is no time, into ours."""
    try:
        yield
    except duckdb.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"The tables cannot be prepared: {reason}. Correct the value, or choose other columns."
        ) from None


def _to_arrow(source: Any, name: str) -> pa.Table:
    if isinstance(source, pa.Table):
        return source
    try:
        frame = nw.from_native(source)
    except TypeError:
        raise DataError(
            f"The {name} are a {type(source).__name__}; expected a file path or a Polars, pandas or PyArrow data frame."
        ) from None
    eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    return eager.to_arrow()


def milliseconds_of(frame: nw.LazyFrame[Any], name: str, role: str, column: str) -> nw.Expr:
    """Time as int64 milliseconds since 1970, from seconds, milliseconds (or finer), dates, or ISO 8601 text.

    Args:
        frame: the table.
        name: of the column in it, and of the result.
        role, column: what it is and what the user calls it, for messages.

    Raises:
        DataError: it holds something else.
    """
    dtype, time = frame.collect_schema()[name], nw.col(name)
    if isinstance(dtype, (nw.Datetime, nw.Date)) or dtype == nw.String:
        since_1970 = time.cast(nw.Datetime("us")) - nw.lit(datetime(1970, 1, 1))
        return since_1970.dt.total_milliseconds().cast(nw.Int64).alias(name)
    if not dtype.is_numeric():
        raise DataError(f"Column {column!r} ({role}) holds {dtype}; expected seconds, milliseconds or ISO 8601.")
    if dtype.is_float():
        time = nw.when(~time.is_nan()).then(time)
    largest = frame.select(time.abs().max().alias("m")).collect().item()
    # today is 1.8e9 s: beyond 3e11 s (the year 11476) the unit must be finer; "for ever" is often the year 9999
    factor = (
        1000.0 if largest is None or largest < 3e11 else 1.0 if largest < 3e14 else 1e-3 if largest < 3e17 else 1e-6
    )
    return (
        (time.cast(nw.Int64) * 1000 if factor == 1000.0 and dtype.is_integer() else time * factor)
        .cast(nw.Int64)
        .alias(name)
    )


def require_columns(frame: nw.LazyFrame[Any], columns: Collection[str], name: str) -> None:
    """Check that a table has the columns it is asked for.

    Raises:
        DataError: names the first missing column and the nearest one there is.
    """
    present = [column for column in frame.collect_schema().names() if column != ROW]
    for column in columns:
        if column not in present:
            raise DataError(
                f"The {name} have no column {column!r}; {did_you_mean(column, present)}. "
                "[data.columns] says which column plays which part."
            )
