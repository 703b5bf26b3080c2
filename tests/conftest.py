"""Settings that must stand before the package is imported, and what several test files share."""

import os
import signal
import tempfile

import pytest

# A test run starts with an empty cache of compiled kernels unless it is told.
if "NUMASYNC_CACHE_DIR" not in os.environ:
    os.environ["NUMASYNC_CACHE_DIR"] = tempfile.mkdtemp(prefix="numasync-tests-")

# A shell lets what it runs in the background ignore Ctrl-C, and `nohup` lets it ignore the end of the terminal. The
# programs that the tests start would ignore them too.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def pytest_configure(config: pytest.Config) -> None:
    if INTERPRETED:
        # NumPy warns of what compiled integers and floats do silently: the generator's words wrap around on purpose.
        config.addinivalue_line("filterwarnings", "ignore:(overflow|invalid value|divide by zero):RuntimeWarning")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests marked `compiled` where nothing is compiled."""
    left_out = [item for item in items if INTERPRETED and item.get_closest_marker("compiled")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
