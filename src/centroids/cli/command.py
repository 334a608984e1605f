"""What all commands have: options, JSON, a log, progress, and values from a file."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from centroids.cli import config, usage
from centroids.cli.answer import answering_in_json
from centroids.cli.log import log
from centroids.cli.stopping import exit_code_of_stop, say_stopped
from centroids.cli.usage import did_you_mean
from centroids.progress import Activity

# What click takes for the truth in a variable.
_YES = ("1", "true", "t", "yes", "y", "on")


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
            "as CENTROIDS_TRAIN_BATCH_SIZE. The command line wins over the environment, and the "
            "environment over the file.",
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
            help="The seconds between two lines of progress, where there is no terminal or the "
            "lines are JSON.",
            metavar="SECONDS",
            envvar="CENTROIDS_LOG_EVERY",
        ),
    ] = 30.0,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Also show what happens inside: models that are read, checkpoints, losses, speed.",
            envvar="CENTROIDS_VERBOSE",
        ),
    ] = False,
    num_threads: Annotated[
        int | None,
        typer.Option(
            help="How many threads compute; the results are the same, to the bit. Default: "
            "CENTROIDS_NUM_THREADS, else one for each CPU that it may use.",
            metavar="N",
        ),
    ] = None,
) -> None: ...


def _common_options() -> list[Any]:
    """The options above, as a command has them."""
    only = typer.Typer(add_completion=False)
    only.command()(_common)
    return [param for param in typer.main.get_command(only).params if param.name != "help"]


class PlainGroup(TyperGroup):
    """All commands: they end alike."""

    def invoke(self, ctx: Any) -> Any:
        """Runs a command; Ctrl-C and SIGTERM end it in one line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say_stopped()
            raise typer.Exit(exit_code_of_stop()) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Finds a command by its name.

        Raises:
            ValueError: If there is none of that name.
        """
        if not ctx.resilient_parsing and args[0] not in self.commands:
            names = sorted(self.commands)
            hint = did_you_mean(args[0], names) or f"; there are {', '.join(names)}"
            raise ValueError(f"{args[0]!r} is not a command{hint}")
        return super().resolve_command(ctx, args)


class PlainCommand(TyperCommand):
    """A command with the common options, and a usage line that has arguments as its help does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._common = _common_options()
        self.params = [*self.params, *self._common]
        for param in self.params:
            vars(param)["show_envvar"] = False  # they follow a rule, and would fill the page

    def hint(self, name: str) -> Any:
        """The annotation of a parameter, which says what its option takes."""
        assert self.callback is not None
        hints = {
            key: each.annotation
            for function in (_common, self.callback)
            for key, each in inspect.signature(function, eval_str=True).parameters.items()
        }
        return hints[name]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line, of which typer puts some in braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """Lets the environment give options."""
        prefix = config.prefix_of(str(info_name))
        for param in self._common:  # a variable of this command goes before that of all commands
            own = f"{prefix}_{param.name.upper()}"
            param.envvar = [own, *(param.envvar,) * isinstance(param.envvar, str)]
        return super().make_context(info_name, args, parent, auto_envvar_prefix=prefix, **extra)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Finds the values of all options.

        Raises:
            ValueError: If the environment or a file has one that is not allowed.
        """
        config.elsewhere.clear()
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        words, given = list(args), self._first_look(ctx, list(args))
        self._choose_format(ctx, given)  # of errors, of which the next may be one
        commands = ctx.parent.command.commands
        config.check_environment(str(ctx.info_name), commands)
        self._read = {}
        named = self._early(ctx, given, "config")
        if named:
            self._read = config.read_config(Path(named), str(ctx.info_name), commands)
            ctx.default_map = {name: value.text for name, value in self._read.items()}
            self._choose_format(ctx, given)
        ctx.allow_extra_args = True  # they are told below
        try:
            rest = super().parse_args(ctx, args)
        except wrong_usage() as error:
            param = getattr(error, "param", None)
            if param is None or type(error).__name__ == "MissingParameter":
                raise ValueError(usage.sentence(error, ctx)) from error
            place, value = self._place_of(ctx, param) or (
                usage.as_written(param, words),
                given.get(param.name),
            )
            allowed = usage.allowed_values(self, param)
            raise ValueError(usage.wrong_value(place, allowed, value)) from error
        if rest:
            raise ValueError(f"{rest[0]!r} is one too many: {usage.usage_of(ctx)}")
        self._check_paths(ctx, given, words)
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Runs the command with what the common options say."""
        for param in self.params:
            if (place := self._place_of(ctx, param)) is not None:
                names = (*param.opts, *param.secondary_opts)
                config.elsewhere[str(param.name)] = config.Place(*place, names)
        given = {param.name: ctx.params.pop(param.name) for param in self._common}
        in_json = given["json"]
        if given["log_format"] is None:
            lines_in_json = in_json
        else:
            lines_in_json = LogFormat(given["log_format"]) is LogFormat.JSON
        log.in_json = lines_in_json
        if not given["log_every"] > 0:  # nor NaN
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

    def _check_paths(self, ctx: Any, given: Mapping[str, Any], words: list[str]) -> None:
        """Raises a ValueError for an empty path, or an address where a folder is needed."""
        for param in self.params:
            read = self._read.get(param.name)
            is_empty = given.get(param.name) == "" or (read is not None and read.text == "")
            if is_empty and isinstance(ctx.params.get(param.name), Path):
                place = self._place_of(ctx, param)
                is_option = param.param_type_name == "option"
                name = usage.as_written(param, words) if is_option else param.metavar
                hint = "" if param.metavar == "FILE" else "; . is the current folder"
                raise ValueError(f"{place[0] if place else name} is empty{hint}")
            text = str(given.get(param.name) or "")
            if param.name == "model_dir" and "://" in text:
                raise ValueError(f"MODEL_DIR must be a folder of this machine, got {text}")

    def _first_look(self, ctx: Any, args: list[str]) -> dict[str, Any]:
        """The options of the command line, before they are checked; mistakes are found later."""
        parser = self.make_parser(ctx)
        parser.ignore_unknown_options = True
        try:
            return dict(parser.parse_args(args=args)[0])
        except wrong_usage():
            return {}

    def _early(self, ctx: Any, given: Mapping[str, Any], name: str) -> str:
        """A common option as text, before all options are known; empty if it is not given."""
        param = next(param for param in self._common if param.name == name)
        variables = (os.environ.get(variable) for variable in param.envvar)
        places = (given.get(name), *variables, (ctx.default_map or {}).get(name))
        return next((str(value) for value in places if value not in (None, "")), "")

    def _choose_format(self, ctx: Any, given: Mapping[str, Any]) -> None:
        """Whether mistakes in the options themselves are told in JSON."""
        form = self._early(ctx, given, "log_format")
        is_json = self._early(ctx, given, "json").lower() in _YES
        log.in_json = form == LogFormat.JSON or (is_json and form != LogFormat.TEXT)

    def _place_of(self, ctx: Any, param: Any) -> tuple[str, object] | None:
        """Where the value of an option came from, and the value; None: the command line."""
        kind = getattr(ctx.get_parameter_source(param.name), "name", None)
        if kind == "DEFAULT_MAP":
            read = self._read[param.name]
            return read.place, read.value
        if kind == "ENVIRONMENT":
            own = f"{ctx.auto_envvar_prefix}_{param.name.upper()}"
            names = param.envvar if isinstance(param.envvar, list) else [own]
            name = next(each for each in names if os.environ.get(each))
            return name, os.environ[name]
        return None


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Computes with a number of threads; None: with the default.

    Raises:
        ValueError: If the number is not allowed, or one that the environment has.
    """
    if count is not None and not 1 <= count <= 4096:
        raise ValueError(f"--num-threads must be from 1 to 4096, got {count}")
    from centroids.kernels import check_environment, set_num_threads

    if count is not None:
        set_num_threads(count)
    try:
        check_environment()  # here, as `verify` would take a wrong one for damage
        yield
    finally:
        if count is not None:
            set_num_threads(0)


def wrong_usage() -> Any:
    """The class of what click raises; not that of one version: typer brings its own, or not."""
    return typer.BadParameter.__bases__[0].__bases__[0]


def run(app: typer.Typer) -> int:
    """Runs the command line; returns its exit code.

    Raises:
        Exception: What a command raised.
    """
    log.in_json = "--json" in sys.argv[1:]  # a command that is not known cannot say it
    try:
        code = app(standalone_mode=False)
    except wrong_usage() as error:
        ctx = getattr(error, "ctx", None)
        if type(error).__name__.startswith("NoArgs") or ctx is None:
            error.show()
        else:
            log.write_error(usage.sentence(error, ctx), error.exit_code)
        return int(error.exit_code)
    except typer.Abort:
        sys.stderr.write("Aborted!\n")
        return 1
    return code if isinstance(code, int) else 0
