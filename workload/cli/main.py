"""The command line: what all commands have, and where each group of them joins.

Its modules import nothing heavy at the top: each command imports what it needs.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from workload import __version__
from workload.cli import batch, evaluate, queue, report, score, share, simulate, trainer
from workload.errors import ExitCode, WorkloadError
from workload.text import printable

app = typer.Typer(
    name="workload",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (simulate, batch, report, score, evaluate):  # as the help lists them
    app.add_typer(commands.app)
app.add_typer(queue.app, name="queue")
app.add_typer(share.app, name="share")
app.add_typer(trainer.app, name="trainer")

HELP = (
    "Batch machine learning from a Redis queue: reads, learns and reports daily datasets.\n\n"
    "Exit codes:\n" + "".join(f"\n- {code:d}: {code.meaning}" for code in ExitCode)
)

_INTERRUPTED = 130
"""What typer makes of a Ctrl-C."""


def run() -> int:
    """Run the command of `sys.argv` and return the exit code.

    An error becomes one line on standard error; with `--debug` it is raised.
    """
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        code = app(arguments, prog_name="workload", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output went away
        return ExitCode.FAILED
    except Exception as error:
        if debug:
            raise
        message, code = _explain(error)
        _say(" ".join(message.split()))
        return code
    if code == _INTERRUPTED:
        _say("stopped")
        return ExitCode.HANDED_BACK
    return code if isinstance(code, int) else ExitCode.DONE


def _say(line: str) -> None:
    with suppress(OSError):  # the exit code has to do
        print(printable(f"workload: {line}"), file=sys.stderr)  # noqa: T201


def _explain(error: Exception) -> tuple[str, ExitCode]:
    """Return one line for the user, and the exit code."""
    match error:
        case WorkloadError():
            return str(error), error.exit_code
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            hint = f" (try `{context.command_path} --help`)" if context else ""
            return error.format_message() + hint, ExitCode.USAGE
        case OSError(errno=int(number)):
            where = f"{error.filename}: " if error.filename else ""
            return where + (os.strerror(number).lower() if where else str(error)), ExitCode.FAILED
        case _:
            defect = f"{type(error).__name__}: {error} (a defect; --debug shows where)"
            return defect, ExitCode.FAILED


@app.callback(invoke_without_command=True, help=HELP)
def main(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)
    ] = False,
    debug: Annotated[  # noqa: ARG001 - taken out of the arguments by run()
        bool, typer.Option("--debug", help="Show tracebacks instead of one-line errors.")
    ] = False,
) -> None:
    """Show the version, or the help when there is no command."""
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
