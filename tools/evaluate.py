"""The command `detect-transfer evaluate`; see `python tools/evaluate.py --help`."""

import sys

from detect_transfer.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
