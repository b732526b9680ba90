"""The command line: arguments, progress bars, exit codes. The only place that prints.

Every command imports what it needs when it runs, so that help is quick and loads neither torch nor ultralytics.
"""

from detect_transfer.cli.main import main

__all__ = ["main"]
