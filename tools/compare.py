"""The command `detect-transfer compare`; see `python tools/compare.py --help`."""

import sys

from detect_transfer.cli import main

if __name__ == "__main__":
    main(["compare", *sys.argv[1:]])
