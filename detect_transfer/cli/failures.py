"""What a failure becomes on the error stream, a line for a reader or an object for a machine, and the exit code."""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import suppress

from detect_transfer.cli.console import print_json
from detect_transfer.cli.signals import stop_behind
from detect_transfer.core.disk import name_too_long
from detect_transfer.core.errors import DetectTransferError, InputError, InternalError, ResourceError
from detect_transfer.core.memory import is_out_of_memory

_LESS_MEMORY = "use less at a time: a smaller batch or imgsz, fewer workers, or smaller images"


def report(failure: BaseException, *, debug: bool, as_json: bool) -> int:
    """Show a failure, and return the exit code.

    Args:
        failure: What was raised.
        debug: Show its traceback first.
        as_json: Show an object a line, with the keys code, where, field, value, what, remedy and exit_code.
    """
    if debug:
        traceback.print_exception(failure)
    error, code = described(failure)
    objects = [{**each.as_dict(), "exit_code": code} for each in error.problems]
    lines = [json.dumps(each, ensure_ascii=False) for each in objects] if as_json else [str(error)]
    with suppress(OSError):  # the exit code still tells it
        print("\n".join(lines), file=sys.stderr, flush=True)
    print_json({"exit_code": code, "error": str(error), "errors": objects})
    return code


def described(failure: BaseException) -> tuple[DetectTransferError, int]:
    """Return the error that a failure is, and the exit code: wrong input, a machine that failed, a signal or a bug."""
    if (stopped := stop_behind(failure)) is not None:
        return stopped.error, stopped.exit_code
    if isinstance(failure, DetectTransferError):
        return failure, failure.exit_code
    number = getattr(failure, "signal_number", None)
    if number is not None:  # a training that was asked to stop
        what, _, remedy = str(failure).partition("; ")
        return DetectTransferError("INTERRUPTED", what, remedy=remedy), 128 + number
    error = _of_others(failure)
    return error, error.exit_code


def _of_others(failure: BaseException) -> DetectTransferError:
    """Return the error for what the command line, the machine or a library raised."""
    if hasattr(failure, "format_message"):  # click's usage errors
        what = failure.format_message().replace("Value error, ", "").rstrip(". ")
        return InputError("USAGE", what, remedy="see --help")
    if is_out_of_memory(failure):
        return ResourceError("OUT_OF_MEMORY", "the machine has not enough memory", remedy=_LESS_MEMORY)
    if isinstance(failure, OSError):
        if (too_long := name_too_long(failure)) is not None:
            return too_long
        what, where = str(failure.strerror or failure), failure.filename
        return ResourceError("OS_ERROR", what, where=where, remedy="check disk and permissions")
    what = f"{type(failure).__name__}: {failure}".splitlines()[0]
    return InternalError("BUG", what, remedy="please report this with the command and --debug")
