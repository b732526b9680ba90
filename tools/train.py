"""The command `detect-transfer train`; see `python tools/train.py --help`."""

import sys

from detect_transfer.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
