"""The output of an array's tasks in one indexed file. Standard library only: hosts write it, clients read it.

While the array runs, each host appends to a *segment* of its own in the folder ``FILE.d``: no two write one file, which
no network file system could bear. A record is a line of JSON, ``{"task":4,"attempt":1,"bytes":N,…}``, N bytes, and a
newline. At the end the segments are put together, by index of the tasks: the records, then one line with the offset of
each, then its own offset in a last line of fixed length. Of a task that was tried again the last attempt counts; a
record that was cut off, or written twice after a crash, does no harm.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, BinaryIO

SUFFIX = ".d"
_LAST = 32
_MAGIC = b"tm-bundle-1 "
_CHUNK = 1 << 20


class BundleError(Exception):
    """A file is no bundle, or a damaged one; the text says where and what to do."""


class Record(NamedTuple):
    """The output of one attempt: *size* bytes at *offset* of the file *path*; *about* is all the record says."""

    task: int
    attempt: int
    path: str
    offset: int
    size: int
    about: dict[str, Any]


def folder_of(path: str) -> str:
    """Return the folder of the segments of the bundle at *path*."""
    return path + SUFFIX


def append(segment: BinaryIO, outputs: Iterable[tuple[dict[str, Any], str]]) -> int:
    """Append to *segment*, opened ``ab``, a record for each (about, path of its output), durably; return their number.

    A segment that ends within a record, because its writer was killed, is first cut back to its last whole one. Raises
    `OSError`; then the whole is to be done again.
    """
    _cut(segment.name, segment)
    count = 0
    for about, path in outputs:
        with open(path, "rb") as source:
            size = os.fstat(source.fileno()).st_size
            segment.write(json.dumps({**about, "bytes": size}, ensure_ascii=False).encode() + b"\n")
            _copy(source, segment, size)
            segment.write(b"\n")
        count += 1
    segment.flush()
    os.fsync(segment.fileno())
    return count


def _cut(path: str, segment: BinaryIO) -> None:
    end = 0
    for record in _read_records(path):
        end = record.offset + record.size + 1
    if end < os.fstat(segment.fileno()).st_size:
        segment.truncate(end)


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    """Copy exactly *size* bytes: a file that grew shorter meanwhile is filled up, so that the record stays whole."""
    left = size
    while left:
        data = source.read(min(_CHUNK, left)) or bytes(min(_CHUNK, left))
        target.write(data)
        left -= len(data)


def merge(path: str) -> int:
    """Put the segments of the bundle at *path* together, wholly or not at all; return the number of its tasks.

    Done again after a crash it ends the same. Raises `OSError`.
    """
    records = records_of(path)
    temporary = path + ".new"
    with open(temporary, "wb") as target:
        index = []
        for record in records:
            index.append((record.task, record.attempt, _put(target, record), record.size))
        begin = target.tell()
        target.write(json.dumps({"index": index}, separators=(",", ":")).encode() + b"\n")
        target.write(_MAGIC + f"{begin:019}\n".encode())
        target.flush()
        os.fsync(target.fileno())
    os.rename(temporary, path)
    _remove_segments(folder_of(path))
    return len(records)


def _put(target: BinaryIO, record: Record) -> int:
    target.write(json.dumps({**record.about, "bytes": record.size}, ensure_ascii=False).encode() + b"\n")
    offset = target.tell()
    with open(record.path, "rb") as source:
        source.seek(record.offset)
        _copy(source, target, record.size)
    target.write(b"\n")
    return offset


def _remove_segments(folder: str) -> None:
    for name in _segments(folder):
        os.unlink(os.path.join(folder, name))
    try:
        os.rmdir(folder)
    except OSError:
        return  # somebody else's files are in it, or nothing ever was


def _segments(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".part"))
    except FileNotFoundError:
        return []


def records_of(path: str, tasks: Sequence[int] | None = None) -> list[Record]:
    """Return the records of the bundle at *path*, whole or in segments, by index; of *tasks*, where some are named.

    Raises `BundleError`, and `OSError` where it cannot be read.
    """
    found: dict[int, Record] = {}
    folder = folder_of(path)
    sources = [_whole(path)] if os.path.exists(path) else []
    sources += [_read_records(os.path.join(folder, name)) for name in _segments(folder)]
    for record in (one for source in sources for one in source):
        before = found.get(record.task)
        if (tasks is None or record.task in tasks) and (before is None or before.attempt <= record.attempt):
            found[record.task] = record
    return [found[task] for task in sorted(found)]


def _whole(path: str) -> Iterator[Record]:
    """Yield the records of a bundle that was put together, by its index."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _LAST))
        last = file.read(_LAST)
        if len(last) < _LAST or not last.startswith(_MAGIC):
            raise BundleError(f"{path} is no bundle of outputs, or its end is missing")
        try:
            file.seek(int(last[len(_MAGIC) :]))
            index = json.loads(file.readline())["index"]
            for task, attempt, offset, length in index:
                yield Record(
                    int(task), int(attempt), path, int(offset), int(length), {"task": task, "attempt": attempt}
                )
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path}: its index cannot be read ({error})") from None


def _read_records(path: str) -> Iterator[Record]:
    """Yield the whole records of a segment; what was cut off at its end is left out."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while True:
            line = file.readline(_CHUNK)
            try:
                about = json.loads(line)
                task, attempt, length = int(about["task"]), int(about["attempt"]), int(about.pop("bytes"))
            except (ValueError, KeyError, TypeError):
                return
            offset = file.tell()
            if length < 0 or offset + length + 1 > size:
                return
            yield Record(task, attempt, path, offset, length, about)
            file.seek(offset + length + 1)


def content(record: Record) -> Iterator[bytes]:
    """Yield the output of *record* in pieces."""
    with open(record.path, "rb") as file:
        file.seek(record.offset)
        left = record.size
        while left > 0:
            data = file.read(min(_CHUNK, left))
            if not data:
                return
            yield data
            left -= len(data)
