"""What all commands have: options, JSON, a log, progress, and values from a file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from centroids.cli import config
from centroids.cli.answer import answering_in_json
from centroids.cli.log import log
from centroids.progress import Activity


class LogFormat(StrEnum):
    """How lines on standard error are written."""

    TEXT = "text"
    JSON = "json"


def _common(
    config: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file with values for options: those of this command below [its name], "
            "those of all commands at the top. Options also come from environment variables such "
            "as CENTROIDS_TRAIN_BATCH_SIZE. The command line goes before the environment, and that "
            "before the file.",
            metavar="FILE",
            envvar="CENTROIDS_CONFIG",
            is_eager=True,
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object on standard output, and lines of JSON on standard error.",
            envvar="CENTROIDS_JSON",
        ),
    ] = False,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(
            help="How warnings, errors and progress are written on standard error. Default: json "
            "with --json, else text.",
            envvar="CENTROIDS_LOG_FORMAT",
        ),
    ] = None,
    log_every: Annotated[
        float,
        typer.Option(
            help="Without a terminal, and in JSON: the seconds between two lines that tell how far "
            "the work has come.",
            metavar="SECONDS",
            envvar="CENTROIDS_LOG_EVERY",
        ),
    ] = 30.0,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Also show what happens inside: checkpoints, losses, speed.",
            envvar="CENTROIDS_VERBOSE",
        ),
    ] = False,
    num_threads: Annotated[
        int | None,
        typer.Option(
            help="How many threads compute; the results are the same, to the bit. Default: "
            "CENTROIDS_NUM_THREADS, else one for each CPU there is to use.",
            metavar="N",
        ),
    ] = None,
) -> None: ...


def _common_options() -> list[Any]:
    """The options above, as a command has them."""
    only = typer.Typer(add_completion=False)
    only.command()(_common)
    return [param for param in typer.main.get_command(only).params if param.name != "help"]


class PlainCommand(TyperCommand):
    """A command with the common options, and a usage line that has arguments as its help does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._common = _common_options()
        self.params = [*self.params, *self._common]
        for param in self.params:
            param.show_envvar = False  # they follow a rule, and would fill the page

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line, of which typer puts some in braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """Lets the environment give options."""
        prefix = config.prefix_of(str(info_name))
        return super().make_context(info_name, args, parent, auto_envvar_prefix=prefix, **extra)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Finds the values of all options.

        Raises:
            ValueError: If the environment or a file has one that is not allowed.
        """
        log.in_json = "--json" in args or bool(os.environ.get("CENTROIDS_JSON"))
        self._file: Path | None = None
        if not ctx.resilient_parsing:
            config.check_environment(str(ctx.info_name), self.params)
            self._file = self._find_file(ctx, list(args))
        if self._file is not None:
            commands = ctx.parent.command.commands
            ctx.default_map = config.read_config(self._file, str(ctx.info_name), commands)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            place = self._place_of(ctx, getattr(error, "param", None))
            if place is None:
                raise
            raise ValueError(f"{place}: {error.message}") from error

    def invoke(self, ctx: Any) -> Any:
        """Runs the command with what the common options say."""
        given = {param.name: ctx.params.pop(param.name) for param in self._common}
        in_json = given["json"]
        if given["log_format"] is None:
            lines_in_json = in_json
        else:
            lines_in_json = LogFormat(given["log_format"]) is LogFormat.JSON
        log.in_json = lines_in_json
        if given["log_every"] <= 0:
            raise ValueError(f"--log-every must be more than 0 seconds, got {given['log_every']}")
        if in_json and str(ctx.params.get("output")) == "-":
            raise ValueError(
                "--json prints an object on standard output, so that nothing else can go there: "
                "give --output a file"
            )
        with (
            _threads(given["num_threads"]),
            log.applied(
                in_json=lines_in_json,
                verbose=given["verbose"],
                quiet=bool(ctx.params.get("quiet")),
                every_seconds=given["log_every"],
            ),
            answering_in_json() if in_json else contextlib.nullcontext(),
            Activity(f"centroids {ctx.info_name}"),
        ):
            return super().invoke(ctx)

    def _find_file(self, ctx: Any, args: list[str]) -> Path | None:
        """What --config says, before the other options can be found."""
        opts, _, _ = self.make_parser(ctx).parse_args(args=args)
        named = opts.get("config") or os.environ.get("CENTROIDS_CONFIG")
        return Path(named) if isinstance(named, (str, Path)) and str(named) else None

    def _place_of(self, ctx: Any, param: Any) -> str | None:
        """Where a wrong value came from; None: the command line."""
        source = None if param is None else ctx.get_parameter_source(param.name)
        kind = getattr(source, "name", None)
        if kind == "DEFAULT_MAP":
            name = max(param.opts, key=len).removeprefix("--")
            return f"{self._file}: {name} = {ctx.default_map[param.name]!r}"
        if kind == "ENVIRONMENT":
            names = [param.envvar, f"{ctx.auto_envvar_prefix}_{param.name.upper()}"]
            name = next(each for each in names if each and os.environ.get(each))
            return f"{name}={os.environ[name]!r}"
        return None


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Computes with a number of threads; None: with the default."""
    if count is None:
        yield
        return
    if not 1 <= count <= 4096:
        raise ValueError(f"--num-threads must be from 1 to 4096, got {count}")
    from centroids.kernels import set_num_threads

    set_num_threads(count)
    try:
        yield
    finally:
        set_num_threads(0)


def _sentence(error: Exception) -> str:
    """A wrong command line in one sentence."""
    format_message = getattr(error, "format_message", None)
    return str(format_message() if format_message is not None else error)


def run(app: typer.Typer) -> int:
    """Runs the command line; returns its exit code.

    Raises:
        Exception: What a command raised.
    """
    # Not the class of one version of click: typer brings its own, or not.
    wrong_usage = typer.BadParameter.__bases__[0].__bases__[0]
    try:
        code = app(standalone_mode=False)
    except wrong_usage as error:
        if log.in_json and not type(error).__name__.startswith("NoArgs"):
            log.write_error(_sentence(error), error.exit_code)
        else:
            error.show()
        return int(error.exit_code)
    except typer.Abort:
        sys.stderr.write("Aborted!\n")
        return 1
    return code if isinstance(code, int) else 0
