"""The commands put together, and what a failure becomes: one line and an exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated

import typer

from detect_transfer import __version__
from detect_transfer.cli.average import average
from detect_transfer.cli.class_map import suggest_class_map
from detect_transfer.cli.command import CommandWithChoices, refuse_renamed
from detect_transfer.cli.configs import config, init
from detect_transfer.cli.console import answer_in_json, be_quiet, be_verbose
from detect_transfer.cli.data import check, convert, unpack
from detect_transfer.cli.export import export
from detect_transfer.cli.failures import report
from detect_transfer.cli.labels import pre_annotate, rank_images
from detect_transfer.cli.scores import evaluate
from detect_transfer.cli.signals import TERMINATE, Stopped, keyboard_handled, raise_stopped, stops_handled
from detect_transfer.cli.study import study, verify
from detect_transfer.cli.training import predict, train
from detect_transfer.cli.views import compare, visualize
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.temporary import private_folder
from detect_transfer.core.threads import wait_passively

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_BY_SIGNAL, _BY_KEYBOARD, _PIPE_CLOSED = 128, 130, 141
_ANYWHERE = {
    "--debug",
    "--json-errors",
    "-q",
    "--quiet",
    "-v",
    "--verbose",
}  # options that may stand before and after the command
_LOAD_TORCH = (
    "average",
    "check",
    "init",
    "train",
    "predict",
    "rank-images",
    "evaluate",
    "export",
    "study",
    "suggest-class-map",
    "verify",
)
_ANSWER_IN_JSON = ("train", "evaluate", "predict", "compare", "convert")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"detect-transfer {__version__}")
        raise typer.Exit


@app.callback()
def _options_of_all(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors alone.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all of it, and what the log would hold.")
    ] = False,
    json: Annotated[
        bool,
        typer.Option("--json", help=f"One JSON object on stdout, the rest on stderr; {', '.join(_ANSWER_IN_JSON)}."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")] = False,
    json_errors: Annotated[
        bool, typer.Option("--json-errors", help="Show errors as JSON, an object a line, for other programs.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fine-tune a pretrained detector on your own images, and know what the transfer was worth."""
    if json:  # `main` did not take it out, so that it stands before another command
        names = ", ".join(_ANSWER_IN_JSON)
        raise InputError("USAGE", "this command gives no JSON", field="--json", remedy=f"use it with {names}")


for _command in (
    *(init, convert, unpack, check, config, suggest_class_map),
    *(train, average, predict, pre_annotate, rank_images, evaluate, export, compare, visualize, verify),
):
    app.command(cls=CommandWithChoices)(_command)
app.add_typer(study, name="study")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 wrong input, 3 the machine failed, 4 a bug, 128 and more on signals."""
    _open_closed_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = next((word for word in words if not word.startswith("-")), "")
    answer_in_json("--json" in words and command in _ANSWER_IN_JSON)
    if command in _ANSWER_IN_JSON:  # others have an option of this name, or none
        words = [word for word in words if word != "--json"]
    given = _ANYWHERE & set(words)
    words = [word for word in words if word not in _ANYWHERE]
    debug, verbose = "--debug" in given, bool({"-v", "--verbose"} & given)
    be_quiet(bool({"-q", "--quiet"} & given))
    be_verbose(verbose)
    if words[:1] == ["compare"]:
        words = ["vs" if word == "--" else word for word in words]  # which the parser would swallow
    if words[:1] and words[0] in _LOAD_TORCH and not {"-h", "--help"} & set(words):
        private_folder()  # before torch is imported, which makes a folder of its own otherwise
        wait_passively()
    as_json = "--json-errors" in given
    code = _run(words or ["--help"], debug=debug, verbose=verbose, as_json=as_json)
    if code > _BY_SIGNAL:  # a further Ctrl-C while the libraries leave ends it at once, in the place of a traceback
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_flushed(code, as_json=as_json))


def _open_closed_streams() -> None:
    """Open streams that were closed to nowhere; else the next file that is opened would be one of them."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def _flushed(code: int, *, as_json: bool) -> int:
    """Write out what was printed and return the exit code; where nobody reads it any more, that of a closed pipe."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    except OSError as error:
        return report(_of_stdout(error), debug=False, as_json=as_json)
    return code


def _of_stdout(error: BaseException) -> BaseException:
    """Return the error of the standard output where that is what could not be written, else what is given.

    What is still printed goes nowhere then.
    """
    if not isinstance(error, OSError) or error.filename is not None:
        return error
    try:
        print(flush=True)  # a further line, as what could not be written may be forgotten
    except OSError as failed:
        _pipe_closed()
        what = f"what is printed cannot be written: {failed.strerror or failed}"
        remedy = "send it to a disk with room, as in > FILE; what is in the output folder is not concerned"
        return ResourceError("OS_ERROR", what, where="standard output", remedy=remedy)
    return error


def _pipe_closed() -> int:
    """Send what is still printed nowhere: whoever read it went away, as `head` does when it has enough."""
    with suppress(OSError, ValueError):  # no file, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _PIPE_CLOSED


def _run(words: list[str], *, debug: bool, verbose: bool, as_json: bool = False) -> int:
    try:
        refuse_renamed(words)
        with keyboard_handled(), stops_handled(raise_stopped, *TERMINATE), _warnings_shown(verbose=verbose):
            code: int | None = app(words, standalone_mode=False)  # that of a typer.Exit, and of Ctrl-C
    except BrokenPipeError:
        return _pipe_closed()
    except (typer.Abort, KeyboardInterrupt):
        code = _BY_KEYBOARD
    except (Stopped, Exception) as error:  # noqa: BLE001 - the last line of defence: one line, and the code for a bug
        return report(_of_stdout(error), debug=debug, as_json=as_json)
    if code == _BY_KEYBOARD:
        return report(Stopped(signal.SIGINT), debug=debug, as_json=as_json)
    return code or 0


@contextmanager
def _warnings_shown(*, verbose: bool) -> Iterator[None]:
    """Show the warnings of the package on the error stream, and if verbose what else it logs.

    Of several processes the first one shows. What a run tells its watch stands on the console anyway.
    """
    logger, handler = logging.getLogger("detect_transfer"), logging.StreamHandler()
    is_first = os.environ.get("RANK", "0") == "0"
    levels = {logging.WARNING, *([logging.INFO, logging.DEBUG] if verbose else [])}  # errors end in one line below
    handler.addFilter(lambda r: is_first and r.levelno in levels and not r.name.endswith("workflows.watch"))
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    if verbose:
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
