"""The command `detect-transfer`, and `python -m detect_transfer`: the command line."""

import signal


def main() -> None:
    """Load the command line and run it; until it runs Ctrl-C ends it at once, in the place of a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from detect_transfer.cli import main as run

    run()


if __name__ == "__main__":
    main()
