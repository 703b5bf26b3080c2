"""One section in a process of its own: `python -m numasync.tools.bench SECTION OPTIONS`; its last line is the result. Both
the options and the result are JSON."""

import importlib
import json
import sys

from numasync.tools.bench.measure import Options

INTERRUPTED = 130

section, options = sys.argv[1], Options(**json.loads(sys.argv[2]))
try:
    result = importlib.import_module(f"numasync.tools.bench.{section}").measure(options)
except KeyboardInterrupt:
    sys.exit(INTERRUPTED)
print(json.dumps(result))
