"""The command `detect-transfer check`; see `python tools/check.py --help`."""

import sys

from detect_transfer.cli import main

if __name__ == "__main__":
    main(["check", *sys.argv[1:]])
