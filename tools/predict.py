"""The command `detect-transfer predict`; see `python tools/predict.py --help`."""

import sys

from detect_transfer.cli import main

if __name__ == "__main__":
    main(["predict", *sys.argv[1:]])
