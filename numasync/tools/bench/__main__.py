"""Measure one section in this process: `python -m numasync.tools.bench SECTION OPTIONS`.

OPTIONS is the JSON of an Options. The last line of the output is the JSON of the section's result.
"""

import importlib
import json
import sys

from numasync.tools.bench.section import Options

INTERRUPTED = 130

section, options = sys.argv[1], Options(**json.loads(sys.argv[2]))
try:
    result = importlib.import_module(f"numasync.tools.bench.{section}").measure(options)
except KeyboardInterrupt:
    sys.exit(INTERRUPTED)
print(json.dumps(result))
