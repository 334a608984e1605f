"""Options from a file and from the environment, behind those of the command line.

Precedence: command line, environment, file, default. `CENTROIDS_TRAIN_BATCH_SIZE=100` is
`--batch-size 100` of `centroids train`; in a file it is `batch-size = 100` below `[train]`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ENVIRONMENT = "CENTROIDS"
# The options of the running command that come from a file or the environment.
elsewhere: set[str] = set()
# Not to be read from a file.
_NOT_IN_FILES = ("config", "help")


def prefix_of(command: str) -> str:
    """What the environment variables of a command begin with.

    >>> prefix_of("choose-k")
    'CENTROIDS_CHOOSE_K'
    """
    return f"{ENVIRONMENT}_{command.upper().replace('-', '_')}"


def check_environment(command: str, params: Iterable[Any]) -> None:
    """Raises a ValueError for a variable of this command that is none of its options."""
    prefix = f"{prefix_of(command)}_"
    known = {f"{prefix}{param.name.upper()}" for param in params if _is_option(param)}
    for name in sorted(os.environ):
        if name.startswith(prefix) and name not in known and os.environ[name]:
            raise ValueError(
                f"the environment variable {name} is not an option of centroids {command}"
                f"{_similar(name, known)}"
            )


def read_config(path: Path, command: str, commands: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a file has for the options of a command, by parameter.

    Args:
        path: A TOML file: options of all commands at its top, those of one in a table of its name.
        command: The command.
        commands: All commands, by name.

    Raises:
        ValueError: If it is not there, is not TOML, or has a key or a value that is not allowed; it
            names both.
    """
    import tomllib  # most commands need no file

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"--config {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"--config {path} is not TOML: {error}") from error
    shared = {key: value for key, value in content.items() if not isinstance(value, dict)}
    common = _common_names(commands)
    for key in shared:
        if _plain(key) not in common:
            raise ValueError(
                f"{path}: {key!r} is not an option of all commands ({', '.join(sorted(common))}); "
                "those of one command are below [its name]"
            )
    found: dict[str, Any] = {}
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    for name, table in tables.items():
        if name not in commands:
            raise ValueError(
                f"{path}: [{name}] is not a command; there are {', '.join(sorted(commands))}"
            )
        values = _values(path, f"[{name}] ", table, commands[name].params)
        found = values if name == command else found
    return {**_values(path, "", shared, commands[command].params), **found}


def _values(
    path: Path, where: str, table: Mapping[str, Any], params: Iterable[Any]
) -> dict[str, Any]:
    names = _names_of(params)
    values: dict[str, Any] = {}
    said: dict[str, str] = {}
    for key, value in table.items():
        if _plain(key) not in names:
            raise ValueError(
                f"{path}: {where}{key!r} is not an option{_similar(_plain(key), names)}"
            )
        param, is_yes = names[_plain(key)]
        if param.name in said:
            raise ValueError(
                f"{path}: {where}{said[param.name]!r} and {key!r} are the same option: leave one "
                "out"
            )
        said[param.name] = key
        values[param.name] = _as_option(f"{path}: {where}{key}", param, value, is_yes)
    return values


def _as_option(place: str, param: Any, value: Any, is_yes: bool) -> Any:
    """A value as the command line would have it; its type is checked where options are."""
    if getattr(param, "is_flag", False):
        if not isinstance(value, bool):
            raise ValueError(f"{place} must be true or false, got {value!r}")
        return value if is_yes else not value
    if isinstance(value, list) and value and all(type(part) in (str, int) for part in value):
        return ",".join(map(str, value))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{place} must be a number or a text, got {value!r}")
    return str(value)


def _names_of(params: Iterable[Any]) -> dict[str, tuple[Any, bool]]:
    """Options by their long names without dashes before them; False for the name that denies."""
    names = {}
    for param in params:
        if not _is_option(param) or param.name in _NOT_IN_FILES:
            continue
        for words, is_yes in ((param.opts, True), (param.secondary_opts, False)):
            names.update({word[2:]: (param, is_yes) for word in words if word.startswith("--")})
    return names


def _common_names(commands: Mapping[str, Any]) -> set[str]:
    """The names of the options that every command has."""
    return set.intersection(*(set(_names_of(command.params)) for command in commands.values()))


def _similar(name: str, known: Iterable[str]) -> str:
    """A hint at what may have been meant."""
    import difflib

    found = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {found[0]}?" if found else ""


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option")


def _plain(key: str) -> str:
    """A key as options are written.

    >>> _plain("batch_size")
    'batch-size'
    """
    return key.replace("_", "-")
