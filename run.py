"""`python run.py ...` is the `numasync` command, from a checkout."""

import sys

from numasync.cli import main

if __name__ == "__main__":
    sys.exit(main())
