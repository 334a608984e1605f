"""A disk as the strictest reading of POSIX has it: what is not synced may be lost in any order.

What a process did (recorded by faults.c) is done again here, one operation after the other. After
any of them the power may fail. Then a file holds what it held when it was synced last, with any of
the later writes, or parts of them; and a folder has the names that it had when it was synced last,
with any of the later creations, renames and removals. A file's name is in its folder, not in it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

# Of a write that is under way: the bytes up to a border of blocks of this size.
_BLOCK = 64
# The first operation is that long after the epoch; each following one a second later.
_BEGIN = 1_600_000_000


@dataclass(frozen=True)
class Operation:
    """One call that changed something, or a mark of the program.

    Attributes:
        name: write, sync, truncate, create, create empty, rename, link, unlink, mkdir or mark.
        path: What it changed, under the folder of the record; the text of a mark.
        source: What was renamed.
        offset: Where the bytes were written, or the new size.
        data: What was written.
    """

    name: str
    path: str
    source: str = ""
    offset: int = 0
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.name} {self.path}" + (f" from {self.source}" if self.source else "")


def read_record(file: Path, folder: Path) -> list[Operation]:
    """The operations that faults.c recorded, with paths relative to the folder."""
    content, place, operations = file.read_bytes(), 0, []

    def relative(path: str) -> str:
        return os.path.relpath(path, folder.resolve()) if path else ""

    while place < len(content):
        end = content.index(b"\n", place)
        name, path, source, offset, size = content[place:end].decode().split("\t")
        place = end + 1 + int(size)
        data = content[end + 1 : place]
        text = path if name == "mark" else relative(path)
        operations.append(Operation(name, text, relative(source), int(offset), data))
    return operations


# The bytes and the time of each file by path; the path of a folder ends in a slash.
State = dict[str, tuple[bytes, int]]
# Which of the changes that are not synced a power failure lets through, of a file or of a folder.
Choice = Callable[[int, bool], list[bool]]


@dataclass
class _File:
    """A file: its bytes when it was synced last, and the writes since then."""

    synced: bytes = b""
    writes: list[tuple[int, bytes | None]] = field(default_factory=list)
    time: int = 0

    def content(self, kept: list[bool], torn: random.Random | None = None) -> bytes:
        content = bytearray(self.synced)
        for (offset, data), keep in zip(self.writes, kept, strict=True):
            if data is None:  # a new size
                if keep:
                    content = content[:offset].ljust(offset, b"\0")
                continue
            if keep or torn:
                # The size may have reached the disk and the bytes not: they are zeros.
                content = content.ljust(offset + len(data), b"\0")
            if torn and not keep:
                data = data[: torn.randrange(len(data) + 1) // _BLOCK * _BLOCK]
            elif not keep:
                continue
            content[offset : offset + len(data)] = data
        return bytes(content)

    def sync(self) -> None:
        self.synced, self.writes = self.content([True] * len(self.writes)), []


@dataclass
class _Folder:
    """A folder: its entries when it was synced last, those of now, and the changes between."""

    synced: dict[str, _File | _Folder] = field(default_factory=dict)
    now: dict[str, _File | _Folder] = field(default_factory=dict)
    # The names that a change removes, and the entry that it puts.
    changes: list[tuple[list[str], str, _File | _Folder | None]] = field(default_factory=list)

    def change(self, removed: list[str], name: str, put: _File | _Folder | None) -> None:
        self.changes.append((removed, name, put))
        _apply(self.now, removed, name, put)

    def entries(self, kept: list[bool]) -> dict[str, _File | _Folder]:
        entries = dict(self.synced)
        for change, keep in zip(self.changes, kept, strict=True):
            if keep:
                _apply(entries, *change)
        return entries

    def sync(self) -> None:
        self.synced, self.changes = dict(self.now), []


def _sync_all(folder: _Folder) -> None:
    folder.sync()
    for entry in folder.now.values():
        if isinstance(entry, _Folder):
            _sync_all(entry)


def _apply(
    entries: dict[str, _File | _Folder], removed: list[str], name: str, put: _File | _Folder | None
) -> None:
    for one in removed:
        entries.pop(one, None)
    if put is not None:
        entries[name] = put


class Disk:
    """A disk that begins as a folder whose files have all been synced.

    Args:
        start: What the folder holds, files by path, and the times of their last changes.

    Attributes:
        marks: What the program has said until now.
    """

    def __init__(self, start: State) -> None:
        self.root = _Folder()
        self.marks: list[str] = []
        self._clock = max([_BEGIN, *(seconds for _, seconds in start.values())])
        for path, (content, seconds) in start.items():
            folder = self.root
            *above, name = path.split("/")
            for part in above:
                folder = cast("_Folder", folder.now.setdefault(part, _Folder()))
            folder.now[name] = _File(content, time=seconds)
        _sync_all(self.root)

    def do(self, operation: Operation) -> None:
        """Does an operation once more."""
        self._clock += 1
        if operation.name == "mark":
            self.marks.append(operation.path)
            return
        found = self._find(operation.path)
        if operation.name in ("create", "create empty"):
            if found is None:
                folder, name = self._place(operation.path)
                folder.change([], name, _File(time=self._clock))
            elif operation.name == "create empty":
                self._write(found, 0, None)
        elif operation.name == "mkdir":
            folder, name = self._place(operation.path)
            folder.change([], name, _Folder())
        elif operation.name == "unlink":
            folder, name = self._place(operation.path)
            folder.change([name], name, None)
        elif operation.name == "rename":
            self._rename(operation)
        elif found is None:
            assert "(deleted)" in operation.path or "#" in operation.path, operation
        elif operation.name == "sync":
            found.sync()
        elif operation.name == "write":
            self._write(found, operation.offset, operation.data)
        elif operation.name == "truncate":
            self._write(found, operation.offset, None)
        else:
            raise AssertionError(operation)

    def _rename(self, operation: Operation) -> None:
        (folder, name), (source, old) = self._place(operation.path), self._place(operation.source)
        assert folder is source, "a rename from one folder to another"
        folder.change([old], name, source.now[old])

    def _write(self, found: _File | _Folder, offset: int, data: bytes | None) -> None:
        assert isinstance(found, _File)
        found.writes.append((offset, data))
        found.time = self._clock

    def _place(self, path: str) -> tuple[_Folder, str]:
        folder, name = os.path.split(path)
        found = self._find(folder)
        assert isinstance(found, _Folder), path
        return found, name

    def _find(self, path: str) -> _File | _Folder | None:
        found: _File | _Folder | None = self.root
        for part in path.split("/"):
            if part not in ("", "."):
                found = found.now.get(part) if isinstance(found, _Folder) else None
        return found

    def failures(
        self, chosen: random.Random, number: int
    ) -> Iterator[dict[str, tuple[bytes, int]]]:
        """What the disk may hold if the power fails now.

        The first four are: nothing unsynced was written, everything was, all names but no bytes,
        all bytes but no names. Then as many as asked for of a choice of their own.
        """
        yield self._state(lambda count, of_folder: [False] * count)
        yield self._state(lambda count, of_folder: [True] * count)
        yield self._state(lambda count, of_folder: [of_folder] * count)
        yield self._state(lambda count, of_folder: [not of_folder] * count)
        for _ in range(number):
            share = chosen.random()
            yield self._state(
                lambda count, of_folder, share=share: [
                    chosen.random() < share for _ in range(count)
                ],
                chosen,
            )

    def _state(self, choose: Choice, torn: random.Random | None = None) -> State:
        state: State = {}

        def add(path: str, found: _File | _Folder) -> None:
            if isinstance(found, _File):
                kept = choose(len(found.writes), False)
                state[path] = (found.content(kept, torn), found.time)
                return
            state[f"{path}/"] = (b"", 0)
            for name, entry in found.entries(choose(len(found.changes), True)).items():
                add(f"{path}/{name}", entry)

        add(".", self.root)
        return state


def write_state(state: State, folder: Path) -> None:
    """Makes a new folder hold what a disk held."""
    for path, (content, seconds) in state.items():
        place = folder / path
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.write_bytes(content)
            os.utime(place, (seconds, seconds))


def read_state(folder: Path) -> State:
    """What a folder holds, for a disk to begin with."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): (path.read_bytes(), int(path.stat().st_mtime))
        for path in files
    }
