"""The command `detect-transfer study`; see `python tools/study.py --help`."""

import sys

from detect_transfer.cli import main

if __name__ == "__main__":
    main(["study", *sys.argv[1:]])
