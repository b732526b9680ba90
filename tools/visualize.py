"""The command `detect-transfer visualize`; see `python tools/visualize.py --help`."""

import sys

from detect_transfer.cli import main

if __name__ == "__main__":
    main(["visualize", *sys.argv[1:]])
