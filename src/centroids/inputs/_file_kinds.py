"""What a file that is not text in UTF-8 is, by its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from centroids.errors import Argument, Message, Part, WordedError

_START_BYTES = 1 << 16
_MANY = 10
_RENAMED = ("a Parquet file;", "a .npy file;")
_UNPACK = "; unpack it first"
_KINDS = {
    b"\x1f\x8b": "compressed by gzip" + _UNPACK,
    b"BZh": "compressed by bzip2" + _UNPACK,
    b"\xfd7zXZ\x00": "compressed by xz" + _UNPACK,
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard" + _UNPACK,
    b"\x04\x22\x4d\x18": "compressed by LZ4" + _UNPACK,
    b"PK\x03\x04": "a zip archive or an Excel workbook; save it as CSV, or unpack it first",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as CSV",
    b"PAR1": "a Parquet file; give it a name that ends in .parquet",
    b"ARROW1": "an Arrow file; save it as Parquet",
    b"\x93NUMPY": "a .npy file; give it a name that ends in .npy",
    b"\x89HDF\r\n": "an HDF5 file; save it as .npy or Parquet",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
}


def check_is_text(file: Path, handle: IO[bytes]) -> None:
    """Refuses a file that is something else than text in lines, by what it is.

    Args:
        file: The file.
        handle: It, opened and unpacked.

    Raises:
        ValueError: If it is; it says what to do.
    """
    start = handle.read(_START_BYTES)
    for magic, kind in _KINDS.items():
        # Letters could begin a text: of such a file other bytes follow that no text has.
        if start.startswith(magic) and (not magic.isascii() or b"\0" in start):
            raise ValueError(f"{file} is not plain text, but {kind}")
    if start.count(0) > len(start) // _MANY:  # a few are a bad line, as any other
        guess = _guess_of(start)
        raise WordedError(f"{file} is not plain text in UTF-8: it is ", guess)
    if b"\r" in start.rstrip(b"\r\n") and b"\n" not in start:
        raise ValueError(
            f"{file} has lines that end in CR alone, as old Macs wrote them; save it with line "
            "feeds (tr '\\r' '\\n' < FILE > NEW)"
        )


def packed_kind(file: Path) -> str | None:
    """What a file is that has to be unpacked or saved as another one before it can be read.

    Returns:
        What it is and what to do; None if its first bytes are not known.
    """
    with file.open("rb") as handle:
        start = handle.read(max(map(len, _KINDS)))
    # Letters alone could begin a file of any kind.
    kinds = (kind for magic, kind in _KINDS.items() if start.startswith(magic))
    return next((kind for kind in kinds if not kind.startswith(_RENAMED)), None)


def _guess_of(start: bytes) -> Part:
    """What a file with many zero bytes is."""
    zeros = (start[0::2].count(0), start[1::2].count(0))
    # Of Latin letters in UTF-16 every second byte is zero.
    if min(zeros) == 0 and max(zeros) > len(start) // 4:
        encoding = Argument("encoding", "utf-16-be" if zeros[0] else "utf-16-le")
        return Message("text in UTF-16; say ", encoding, ", or save it as UTF-8")
    return "binary data"
