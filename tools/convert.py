"""The command `detect-transfer convert`; see `python tools/convert.py --help`."""

import sys

from detect_transfer.cli import main

if __name__ == "__main__":
    main(["convert", *sys.argv[1:]])
