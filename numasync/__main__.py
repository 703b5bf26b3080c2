"""`python -m numasync`."""

import sys

from numasync.cli import main

sys.exit(main())
