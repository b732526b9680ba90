"""`python -m detect_transfer`: the command line."""

from detect_transfer.cli import main

if __name__ == "__main__":
    main()
