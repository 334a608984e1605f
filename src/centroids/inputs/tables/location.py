"""Where rows come from: a path, the address of a remote file, or a query."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from centroids.packages import import_package

_QUERY = re.compile(r"\s*(SELECT|WITH|FROM)\s", re.IGNORECASE)
_ADDRESS = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]+)://")
_DATABASES = ("postgresql", "postgres", "sqlite")
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "abfs": "adlfs",
    "az": "adlfs",
}
_MOST_SHOWN = 60


@dataclass(frozen=True)
class Text:
    """A source that is not a file: a query in SQL, or the address of a database.

    Attributes:
        text: It.
    """

    text: str

    @property
    def name(self) -> str:
        """It as messages call it."""
        if not is_query(self.text):
            return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", self.text)  # without a password
        words = " ".join(self.text.split())
        short = words if len(words) <= _MOST_SHOWN else words[: _MOST_SHOWN - 3] + "..."
        return f'the query "{short}"'

    @property
    def suffix(self) -> str:
        """It has none."""
        return ""

    def is_dir(self) -> bool:
        """It is not a folder."""
        return False

    def is_file(self) -> bool:
        """It is not a file."""
        return False

    def __str__(self) -> str:
        """It as messages call it."""
        return self.name


def is_query(text: str) -> bool:
    """Whether a text is a query in SQL.

    >>> is_query("select a from 't.parquet'"), is_query("selected.csv")
    (True, False)
    """
    return _QUERY.match(text) is not None


def find_location(source: str | os.PathLike[str]) -> Path:
    """Where a source is: a local path, one like it to a remote file, or a `Text`.

    All three have `name`, `suffix`, `is_dir` and `is_file`; the first two also `open` and `stat`.

    Raises:
        ImportError: If the package for such an address is not installed; it names it.
    """
    if not isinstance(source, str) or os.path.lexists(source):
        return source if hasattr(source, "suffix") else Path(source)  # type: ignore[return-value]
    if is_query(source):
        return cast("Path", Text(source))
    address = _ADDRESS.match(source)
    if address is None:
        return Path(source)
    scheme = address[1].lower()
    if scheme in _DATABASES:
        return cast("Path", Text(source))
    return _remote(source, scheme)


def schemes_in(query: str) -> set[str]:
    """The schemes of the addresses in a query.

    >>> schemes_in("SELECT a FROM 'https://example.org/t.parquet'")
    {'https'}
    """
    return {found.lower() for found in _ADDRESS.findall(query)} & {*_PACKAGES}


def _remote(source: str, scheme: str) -> Path:
    if (package := _PACKAGES.get(scheme)) is not None:
        extra = "centroids[tables]" if package == "aiohttp" else package
        import_package(package, f"reading {scheme}:// addresses", extra)
    upath: Any = import_package("upath", f"reading {scheme}:// addresses", "centroids[tables]")
    try:
        return cast("Path", upath.UPath(source))
    except ImportError as error:
        raise ImportError(f"{source}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{source} is not an address that fsspec knows: {error}") from error


def is_remote(location: object) -> bool:
    """Whether a location is a file that is not on this machine."""
    return not isinstance(location, (Path, Text))


def split_part(location: Path) -> tuple[Path, str | None]:
    """A location and the part of it that is meant, a table or a sheet, which is named after a #.

    >>> split_part(Path("points.db#stars"))[1], split_part(Path("points.db"))[1]
    ('stars', None)
    """
    if isinstance(location, Text):
        where, _, part = location.text.partition("#")
        if not part or is_query(location.text):
            return location, None
        return cast("Path", Text(where)), part
    # A web server never sees what follows a #.
    on_web = getattr(location, "protocol", "") in ("http", "https")
    if "#" not in location.name or (not on_web and location.exists()):
        return location, None
    where, _, part = location.name.partition("#")
    return location.with_name(where), part or None
