"""A long result that is written in parts beside its file: what is finished outlives the process that made it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shortlist.errors import ArtifactError

_MADE_FROM = "made_from.json"


class Parts:
    """Numbered Parquet files in ``FILE.parts``, with what they were made from; joined, they become ``FILE``.

    Every file is written to another name, brought to disk and renamed: a kill at any moment leaves whole parts and the
    old ``FILE``. One process at a time works on them.

    Args:
        file: what they will become.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.folder = file, file.with_name(f"{file.name}.parts")

    @contextmanager
    def opened(self) -> Iterator[dict[str, Any] | None]:
        """Hold the folder, which is made where there is none; gives what parts were begun from, None where they were not.

        Raises:
            ArtifactError: another process holds it, it is something else, or it cannot be written.
        """
        with self._errors_explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.file.is_dir():
                raise ArtifactError(f"{self.file} is a folder; expected the name of a Parquet file.")
            descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # some network drives know no locks
                self._lock(descriptor)
            yield self._read()
        finally:
            os.close(descriptor)
            with suppress(OSError):
                self.folder.rmdir()  # where nothing came of it

    def begin(self, made_from: Mapping[str, Any]) -> None:
        """Say what the parts are made from; where they were begun already, it must be the same.

        Args:
            made_from: plain JSON values by name.

        Raises:
            ArtifactError: names what is different.
        """
        begun = self._read()
        if begun is None:
            with self._replacing(self.folder / _MADE_FROM) as new:
                new.write_text(json.dumps(made_from, indent=1, ensure_ascii=False), encoding="utf-8")
            return
        names = [name for name in {**begun, **made_from} if begun.get(name) != made_from.get(name)]
        if names:
            told = "; ".join(
                f"{one}: was {_short(begun.get(one))}, is now {_short(made_from.get(one))}" for one in names
            )
            raise ArtifactError(
                f"{self.file} was begun otherwise ({told}), and what is finished of it does not fit. Go on as it was begun, or "
                f"delete the folder {self.folder} to begin anew."
            )

    def has(self, number: int) -> bool:
        """Whether a part is finished."""
        return self._part(number).is_file()

    def write(self, number: int, table: pa.Table) -> None:
        """Finish a part."""
        with self._replacing(self._part(number)) as new:
            pq.write_table(table, new)

    def join(self, count: int, schema: pa.Schema) -> int:
        """Write the file from all parts, one in memory at a time, and remove them.

        Args:
            count: of the parts.
            schema: of the file; its metadata, too.

        Returns:
            rows of the file.
        """
        rows = 0
        with self._replacing(self.file) as new, pq.ParquetWriter(new, schema) as writer:
            for number in range(count):
                table = self._read_part(number).replace_schema_metadata(schema.metadata)
                rows += table.num_rows
                if table.num_rows:
                    writer.write_table(table)
        with self._errors_explained():
            for number in range(count):
                self._part(number).unlink()
            (self.folder / _MADE_FROM).unlink()  # last: parts without it are nobody's
        return rows

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:06}.parquet"

    def _read_part(self, number: int) -> pa.Table:
        try:
            return pq.read_table(self._part(number))
        except pa.ArrowInvalid as error:
            raise ArtifactError(
                f"{self._part(number)} cannot be read ({error}). Delete it, and run the command again: it is made anew."
            ) from None

    def _read(self) -> dict[str, Any] | None:
        if not (self.folder / _MADE_FROM).is_file():
            if any(one.suffix != ".new" for one in self.folder.iterdir()):
                raise ArtifactError(
                    f"{self.folder} is there and does not say what it was made from ({_MADE_FROM}). Parts of {self.file.name} go "
                    "there: choose another file, or delete the folder."
                )
            return None
        try:
            return dict(json.loads((self.folder / _MADE_FROM).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ArtifactError(
                f"{self.folder / _MADE_FROM} cannot be read ({error}). Delete the folder {self.folder} to begin anew."
            ) from None

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtifactError(
                f"Another process is writing {self.file}. Wait for it, or choose another file."
            ) from None

    @contextmanager
    def _replacing(self, target: Path) -> Iterator[Path]:
        """A new name in the folder, that takes the target's place at the end."""
        new = self.folder / f"{target.name}.new"
        with self._errors_explained():
            yield new
            with new.open("rb") as written:
                os.fsync(written.fileno())
            new.replace(target)

    @contextmanager
    def _errors_explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtifactError(
                f"Cannot write {self.file} by way of {self.folder}: {error.strerror or error}. Check free space and permissions; "
                "what is finished is kept, and the same command goes on."
            ) from None


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}…"
