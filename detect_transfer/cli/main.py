"""The commands put together, and what a failure becomes: one line and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from detect_transfer.cli.data import check, convert
from detect_transfer.cli.scores import compare, evaluate, visualize
from detect_transfer.cli.training import predict, train
from detect_transfer.errors import DetectTransferError
from detect_transfer.files import private_folder

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

_BUG = 4
_LOAD_TORCH = ("train", "predict", "evaluate")


@app.callback()
def _everything(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")] = False,
) -> None:
    """Fine-tune a pretrained detector on your own pictures, and know what the transfer was worth."""


for _command in (convert, check, train, predict, evaluate, compare, visualize):
    app.command()(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 wrong input, 3 the machine failed, 4 a bug, 130 and 143 on signals."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if words[:1] == ["compare"]:
        words = ["vs" if word == "--" else word for word in words]  # which the parser would swallow
    if words[:1] and words[0] in _LOAD_TORCH and "--help" not in words:
        private_folder()  # before torch is imported, which makes a folder of its own otherwise
    sys.exit(_run(words, debug=debug))


def _run(words: list[str], *, debug: bool) -> int:
    try:
        app(words, standalone_mode=False)
    except DetectTransferError as error:
        return _tell(str(error), error.exit_code, debug=debug)
    except typer.Exit as leave:
        return leave.exit_code
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        return _tell("INTERRUPTED - stopped by the keyboard; run it again, or --resume a training", 130, debug=debug)
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line, and the code for a bug
        return _tell_other(error, debug=debug)
    return 0


def _tell_other(error: Exception, *, debug: bool) -> int:
    """Tell a usage error of the command line, an interruption, a machine that failed, or a bug."""
    number = getattr(error, "signal_number", None)
    if number is not None:
        return _tell(f"INTERRUPTED - {error}", 128 + number, debug=debug)
    if hasattr(error, "format_message"):  # click's usage errors
        return _tell(f"USAGE - {error.format_message()}; see --help", 2, debug=debug)
    if isinstance(error, MemoryError):
        return _tell("OUT_OF_MEMORY - the machine has not enough memory; use less at a time", 3, debug=debug)
    if isinstance(error, OSError):
        return _tell(
            f"OS_ERROR {error.filename or ''} - {error.strerror or error}; check disk and permissions", 3, debug=debug
        )
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return _tell(f"BUG - {what}; please report this with the command and --debug", _BUG, debug=debug)


def _tell(line: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(line, file=sys.stderr)
    return code
