"""Settings that must stand before Numba is imported, and what several test files share."""

import os
import tempfile

# Numba's cache does not see a change in an imported kernel, so a test run starts from a clean one unless told.
if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="numasync-tests-")
