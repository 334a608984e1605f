"""The records of a TFRecord file, compressed or not, with their checksums verified.

The file may be compressed as a whole by gzip or zlib.
"""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, Any, Self, cast

from centroids.crc32c import (
    RECORD_FOOTER_BYTES,
    RECORD_HEADER_BYTES,
    is_record,
    record_length,
)

_MAX_RECORD_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 20
_ENOUGH_BYTES = 8 << 20
_GZIP = b"\x1f\x8b"
_ZLIB_DEFLATE = 8


class RecordFile:
    """A file that is read record by record; a context manager.

    Attributes:
        record: The number of the next record, from 0.

    Args:
        file: The file.
        byte: Where to begin, counted without compression; a place after a record.
        record: The number of the record there.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not a TFRecord file.
    """

    def __init__(self, file: Path, byte: int = 0, record: int = 0) -> None:
        self._file, self.record = file, record
        self._handle = _open(file)
        self._byte = byte
        try:
            self._skip(byte)
        except BaseException:
            self._handle.close()
            raise

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes it."""
        self._handle.close()

    @property
    def byte(self) -> int:
        """Where the next record begins, counted without compression."""
        return self._byte

    def check_place(self) -> None:
        """Raises a ValueError if no record begins here, and it is not the end."""
        header = self._read(RECORD_HEADER_BYTES, [])
        if header:
            self._check_header(header, self.record)

    def read(self, count: int) -> list[bytes]:
        """The next records: at most `count`, fewer if they are large, none at the end.

        Raises:
            ValueError: If one is cut off or differs from its checksum; it names file and record.
        """
        records: list[bytes] = []
        num_bytes = 0
        while len(records) < count and num_bytes < _ENOUGH_BYTES:
            header = self._read(RECORD_HEADER_BYTES, records)
            if not header:
                break
            length = self._check_header(header, self.record + len(records))
            body = self._read(length + RECORD_FOOTER_BYTES, records, may_end=False)
            record = body[:length]
            if not is_record(record, body[length:]):
                raise ValueError(
                    f"{self._file}, record {self.record + len(records)} differs from its checksum: "
                    "the file was altered"
                )
            records.append(record)
            num_bytes += length
        self.record += len(records)
        self._byte += sum(
            len(record) + RECORD_HEADER_BYTES + RECORD_FOOTER_BYTES for record in records
        )
        return records

    def _read(self, count: int, before: list[bytes], may_end: bool = True) -> bytes:
        """Reads `count` bytes; none at the end of the file."""
        number = self.record + len(before)
        try:
            data = self._handle.read(count)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{self._file} is damaged in record {number}: {error}") from error
        if len(data) < count and (data or not may_end):
            raise ValueError(f"{self._file} is cut off in record {number}")
        return data

    def _check_header(self, header: bytes, number: int) -> int:
        length = record_length(header)
        if length is None:
            raise ValueError(
                f"{self._file}, record {number}: its length differs from its checksum; the file is "
                "damaged there, or is not a TFRecord file"
            )
        if length > _MAX_RECORD_BYTES:
            raise ValueError(
                f"{self._file}, record {number} has {length} bytes; a record may have up to "
                f"{_MAX_RECORD_BYTES}"
            )
        return length

    def _skip(self, count: int) -> None:
        if not isinstance(self._handle, gzip.GzipFile) and self._handle.seekable():
            if count > self._file.stat().st_size:
                raise ValueError(f"{self._file} is cut off: byte {count} is beyond its end")
            self._handle.seek(count)
            return
        while count > 0:
            data = self._read(min(count, _CHUNK_BYTES), [], may_end=False)
            count -= len(data)


def _open(file: Path) -> IO[bytes]:
    """The file without its compression, which its first bytes reveal."""
    handle = _open_bytes(file)
    start = handle.read(RECORD_HEADER_BYTES)
    handle.seek(0)
    if start.startswith(_GZIP):
        handle.close()
        whole: Any = file if isinstance(file, Path) else _open_bytes(file)
        return cast("IO[bytes]", gzip.open(whole, "rb"))
    # If it is too short, reading will say so.
    if len(start) < RECORD_HEADER_BYTES or record_length(start) is not None:
        return handle
    if start[0] & 0xF == _ZLIB_DEFLATE and int.from_bytes(start[:2], "big") % 31 == 0:
        return io.BufferedReader(_Inflated(handle), _CHUNK_BYTES)
    handle.close()
    raise ValueError(
        f"{file} is not a TFRecord file, plain or compressed by gzip or zlib, or its first record "
        "is damaged"
    )


def _open_bytes(file: Path) -> IO[bytes]:
    if isinstance(file, Path):
        return file.open("rb", buffering=_CHUNK_BYTES)
    remote: Any = file.open("rb")
    return io.BufferedReader(remote, _CHUNK_BYTES)


class _Inflated(io.RawIOBase):
    """What zlib compressed into a file."""

    def __init__(self, handle: IO[bytes]) -> None:
        super().__init__()
        self._compressed = handle
        self._zlib = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._zlib.eof:
            waiting = self._zlib.unconsumed_tail or self._compressed.read(_CHUNK_BYTES)
            data = self._zlib.decompress(waiting, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
            if not waiting:
                raise EOFError("the compressed data end too early")
        return 0

    def close(self) -> None:
        self._compressed.close()
        super().close()


def num_bytes(files: list[Path]) -> int:
    """The bytes of all files, as they are on disk."""
    return sum(file.stat().st_size for file in files)
