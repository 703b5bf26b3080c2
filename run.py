"""`python run.py ...` is the `numasync` command, from a checkout."""

import sys

if __name__ == "__main__":
    # The package stops without a traceback when Ctrl-C comes while it is imported as the program of this name.
    sys.argv[0] = "numasync"
    from numasync.cli import main

    sys.exit(main())
