"""Options from a file and from the environment, behind those of the command line.

Precedence: command line, environment, file, default. `CENTROIDS_TRAIN_BATCH_SIZE=100` is
`--batch-size 100` of `centroids train`; in a file it is `batch-size = 100` below `[train]`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from centroids.cli.usage import allowed_values, did_you_mean, similar, wrong_value

ENVIRONMENT = "CENTROIDS"
# Variables that no option stands for.
_OF_KERNELS = (f"{ENVIRONMENT}_NUM_THREADS", f"{ENVIRONMENT}_ISA")
# How like a known variable another one must be, to be taken for it: other programs have some, too.
_LIKENESS = 0.87


@dataclass(frozen=True)
class Place:
    """Where an option got its value.

    Attributes:
        where: The variable, or the file and the key in it.
        value: The value there.
        names: What the option is called on the command line.
    """

    where: str
    value: object
    names: tuple[str, ...]

    def named_in(self, text: str) -> str | None:
        """What a text calls the option, if it is about it or about its value."""
        for name in self.names:
            if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text):
                return name
        parts = self.value.split(",") if isinstance(self.value, str) else []
        words = [part.strip() for part in parts if len(part) > 1 and not part.isdecimal()]
        return max(self.names, key=len) if any(word in text for word in words) else None


@dataclass(frozen=True)
class Read:
    """A value that a file has for an option.

    Attributes:
        place: The file and the key.
        value: The value there.
        text: The same as the command line would have it.
    """

    place: str
    value: object
    text: Any


# The options of the running command that come from a file or the environment.
elsewhere: dict[str, Place] = {}
# Not to be read from a file.
_NOT_IN_FILES = ("config", "help")


def prefix_of(command: str) -> str:
    """What the environment variables of a command begin with.

    >>> prefix_of("choose-k")
    'CENTROIDS_CHOOSE_K'
    """
    return f"{ENVIRONMENT}_{command.upper().replace('-', '_')}"


def places_named_in(text: str) -> str:
    """Where the options that a message is about came from, if not from the command line."""
    found = ((place.named_in(text), place.where) for place in elsewhere.values())
    told = "; ".join(f"{name} comes from {where}" for name, where in found if name)
    return f" ({told})" if told else ""


def check_environment(command: str, commands: Mapping[str, Any]) -> None:
    """Checks that no variable looks like one of this command or of all, and is none.

    Args:
        command: The command.
        commands: All commands, by name.

    Raises:
        ValueError: If there is such a variable; it names the one that may have been meant.
    """
    prefix = f"{prefix_of(command)}_"
    options = {name: filter(_is_option, each.params) for name, each in commands.items()}
    variables = {
        name: {f"{prefix_of(name)}_{param.name.upper()}" for param in params}
        for name, params in options.items()
    }
    of_all = {f"{ENVIRONMENT}_{name.upper().replace('-', '_')}" for name in _common_names(commands)}
    ours = {*variables[command], *of_all, *_OF_KERNELS, f"{ENVIRONMENT}_CONFIG"}
    known = ours.union(*variables.values())
    for name in sorted(set(os.environ) - known):
        if not name.startswith(f"{ENVIRONMENT}_") or not os.environ[name]:
            continue
        if name.startswith(prefix):
            hint = did_you_mean(name, variables[command])
            raise ValueError(
                f"the environment variable {name} is not an option of centroids {command}{hint}"
            )
        if similar(name, known, _LIKENESS) in ours:
            hint = did_you_mean(name, known, _LIKENESS)
            raise ValueError(f"the environment variable {name} is not one of centroids{hint}")


def read_config(path: Path, command: str, commands: Mapping[str, Any]) -> dict[str, Read]:
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
                f"those of one command are below [its name]{did_you_mean(_plain(key), common)}"
            )
    found: dict[str, Read] = {}
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    for name, table in tables.items():
        if name not in commands:
            raise ValueError(
                f"{path}: [{name}] is not a command; there are {', '.join(sorted(commands))}"
                f"{did_you_mean(name, commands)}"
            )
        values = _values(path, f"[{name}] ", table, commands[name])
        found = values if name == command else found
    return {**_values(path, "", shared, commands[command]), **found}


def _values(path: Path, where: str, table: Mapping[str, Any], command: Any) -> dict[str, Read]:
    names = _names_of(command.params)
    values: dict[str, Read] = {}
    said: dict[str, str] = {}
    for key, value in table.items():
        if _plain(key) not in names:
            raise ValueError(
                f"{path}: {where}{key!r} is not an option{did_you_mean(_plain(key), names)}"
            )
        param, is_yes = names[_plain(key)]
        if param.name in said:
            raise ValueError(
                f"{path}: {where}{said[param.name]!r} and {key!r} are the same option: leave one "
                "out"
            )
        said[param.name] = key
        place = f"{path}: {where}{key}"
        try:
            text = _as_option(param, value, is_yes)
        except TypeError:
            allowed = allowed_values(command, param)
            raise ValueError(wrong_value(place, allowed, value)) from None
        values[param.name] = Read(place, value, text)
    return values


def _as_option(param: Any, value: Any, is_yes: bool) -> Any:
    """A value as the command line would have it; the rest is checked where options are.

    Raises:
        TypeError: If it can be none.
    """
    if getattr(param, "is_flag", False):
        if not isinstance(value, bool):
            raise TypeError
        return value if is_yes else not value
    if isinstance(value, list) and value and all(type(part) in (str, int) for part in value):
        return ",".join(map(str, value))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError
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


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option")


def _plain(key: str) -> str:
    """A key as options are written.

    >>> _plain("batch_size")
    'batch-size'
    """
    return key.replace("_", "-")
