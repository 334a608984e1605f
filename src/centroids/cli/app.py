"""The application: its commands, in the order of its help, and how it ends."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from centroids import __version__
from centroids.cli.command import PlainCommand, PlainGroup, run
from centroids.cli.commands.choosing import choose_k
from centroids.cli.commands.inference import evaluate, predict, score, transform
from centroids.cli.commands.models import export, inspect, report, verify
from centroids.cli.commands.pictures import quantize
from centroids.cli.commands.training import import_, train
from centroids.cli.errors import end_with
from centroids.cli.log import log, silencing_others
from centroids.cli.stopping import terminable

_DEBUG = "--debug"

app = typer.Typer(
    cls=PlainGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its tables cut long option names off
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"centroids {__version__}")
        raise typer.Exit


@app.callback()
def describe(
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show where in the code an error arose.")] = (
        False
    ),
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """K-means clustering of files of any size, with models that can be reopened.

    
    Start here:
      centroids train points.npy model --num-clusters 100
      centroids predict model points.npy --output labels.npy
      centroids inspect model

    Each command explains itself: centroids train --help
    """


_COMMANDS: dict[str, Callable[..., None]] = {
    "train": train,
    "predict": predict,
    "evaluate": evaluate,
    "score": score,
    "transform": transform,
    "choose-k": choose_k,
    "inspect": inspect,
    "report": report,
    "quantize": quantize,
    "verify": verify,
    "export": export,
    "import": import_,
}
for _name, _command in _COMMANDS.items():
    app.command(_name, cls=PlainCommand)(_command)


def _end_if_left_behind(code: int, before: set[threading.Thread]) -> None:
    """Ends the process at once if a thread still reads, as the input does not respond.

    The interpreter ends threads where they wait for it, and C++ aborts the process for that.

    Args:
        code: The exit code.
        before: The threads that were there before the command.
    """
    threads = set(threading.enumerate()) - before
    if not threads:
        return
    from centroids.inputs.stream import LEFT_BEHIND

    if any(thread.name == LEFT_BEHIND for thread in threads):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        atexit._run_exitfuncs()  # which remove temporary files
        os._exit(code)


def main() -> None:
    """Runs the command line; mistakes end in one plain sentence, without a traceback."""
    debug = _DEBUG in sys.argv[1:]
    if debug:  # wherever it stands, also behind the command
        sys.argv = [word for word in sys.argv if word != _DEBUG]
    before = set(threading.enumerate())
    try:
        with (
            log.attached(),
            contextlib.nullcontext() if debug else silencing_others(),
            terminable(),
        ):
            code = run(app)
            _end_if_left_behind(code, before)
            sys.exit(code)
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        end_with(error)
