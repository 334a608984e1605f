"""The bytes of a text file as UTF-8: unpacked, and from any encoding."""

from __future__ import annotations

import bz2
import codecs
import functools
import gzip
import io
import lzma
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Any

from centroids.inputs.arrow import import_arrow

_PIECE_BYTES = 1 << 18
_KEPT_BYTES = 1 << 12  # what a seek back can reach without a new beginning
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def open_bytes(file: Path, encoding: str | None) -> IO[bytes]:
    """Opens a text file as bytes in UTF-8, which can be sought in.

    Args:
        file: The file; one that is compressed by gzip, bzip2, xz or Zstandard is unpacked.
        encoding: How it is written; None: UTF-8, or UTF-16 or UTF-32 if it begins with their mark.

    Raises:
        ImportError: If it is compressed by Zstandard, and pyarrow is not installed.
        OSError: If it cannot be read.
    """
    if is_plain(file, encoding):
        if isinstance(file, Path):
            return file.open("rb", buffering=1 << 20)
        remote: Any = file.open("rb")
        return io.BufferedReader(remote, 1 << 20)
    return io.BufferedReader(_Forward(functools.partial(_pieces, file, encoding)), 1 << 20)


def bytes_taken(handle: IO[bytes]) -> int:
    """About how many bytes of its file make up what was read of what `open_bytes` opened."""
    raw = getattr(handle, "raw", None)
    if not isinstance(raw, _Forward):
        return handle.tell()
    return raw.taken[0] * handle.tell() // max(raw.produced, 1)  # it may be far ahead


def is_plain(file: Path, encoding: str | None) -> bool:
    """Whether the bytes of the file itself are UTF-8."""
    with file.open("rb") as handle:
        start = handle.read(8)
    return _unpacker(start) is None and _codec(start, encoding) is None


def _pieces(file: Path, encoding: str | None, taken: list[int]) -> Generator[bytes]:
    with file.open("rb") as handle:
        unpack = _unpacker(handle.read(8))
        handle.seek(0)
        unpacked: IO[bytes] = handle if unpack is None else unpack(handle)
        start = piece = _read(file, unpacked)
        taken[0] = handle.tell()
        codec = _codec(start, encoding)
        decoder = None if codec is None else codecs.getincrementaldecoder(codec)("replace")
        while piece:
            if decoder is None:
                yield piece
            elif text := decoder.decode(piece):
                yield text.encode(errors="replace")
            piece = _read(file, unpacked)
            taken[0] = handle.tell()
        if decoder is not None and (text := decoder.decode(b"", final=True)):
            yield text.encode(errors="replace")


def _read(file: Path, unpacked: IO[bytes]) -> bytes:
    try:
        return unpacked.read(_PIECE_BYTES)
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(f"{file} is compressed and damaged: {error}") from error
    except OSError as error:
        if error.filename is not None or error.errno is not None:
            raise
        raise ValueError(f"{file} is compressed and damaged: {error}") from error
    except Exception as error:  # of zlib, whose errors are of no common kind
        raise ValueError(f"{file} is compressed and damaged: {error}") from error


def _unpacker(start: bytes) -> Callable[[IO[bytes]], IO[bytes]] | None:
    if start.startswith(b"\x1f\x8b"):
        return lambda handle: gzip.GzipFile(fileobj=handle)  # type: ignore[return-value]
    if start.startswith(b"BZh"):
        return lambda handle: bz2.BZ2File(handle)
    if start.startswith(b"\xfd7zXZ\x00"):
        return lambda handle: lzma.LZMAFile(handle)
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        arrow: Any = import_arrow(what="unpacking a file of Zstandard")
        return lambda handle: arrow.CompressedInputStream(arrow.PythonFile(handle, "r"), "zstd")
    return None


def _codec(start: bytes, encoding: str | None) -> str | None:
    """The codec to read with; None for UTF-8."""
    if encoding is not None:
        return None if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii") else encoding
    return next((name for mark, name in _MARKS if start.startswith(mark)), None)


class _Forward(io.RawIOBase):
    """Bytes that come in pieces, as a file. To seek far back is to begin anew.

    Attributes:
        taken: A list of one number: how many bytes were read to make them.
    """

    def __init__(self, begin: Callable[[list[int]], Generator[bytes]]) -> None:
        self.taken = [0]
        self._begin, self._pieces = begin, begin(self.taken)
        self._held, self._start, self._place = b"", 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    @property
    def produced(self) -> int:
        """How many bytes have been made so far."""
        return self._start + len(self._held)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_CUR:
            offset += self._place
        elif whence != io.SEEK_SET:
            raise io.UnsupportedOperation("its end is not known")
        if offset < self._start:
            self._pieces.close()
            self._pieces, self._held, self._start = self._begin(self.taken), b"", 0
        self._place = offset
        return offset

    def readinto(self, into: Any, /) -> int:
        while self._place >= self._start + len(self._held):
            piece = next(self._pieces, b"")
            if not piece:
                return 0
            kept = self._held[-_KEPT_BYTES:]
            self._start += len(self._held) - len(kept)
            self._held = kept + piece
        first = self._place - self._start
        part = self._held[first : first + len(into)]
        into[: len(part)] = part
        self._place += len(part)
        return len(part)

    def close(self) -> None:
        self._pieces.close()
        super().close()
