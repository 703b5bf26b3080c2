"""Train with one program of this folder, turn by turn: `python serve.py MODULE OPTIONS`.

OPTIONS is the JSON of the program's options. Each line of the output is a JSON object. The first has the time of the
first update. For each line of the input, which is a number of seconds, another has the steps per second. The end of the
input ends the program. Where a package is missing, the only line has the name of the package.
"""

import importlib
import json
import os
import sys
from typing import Any, TextIO


def serve(module: str, options: dict[str, Any], turns: TextIO, replies: TextIO) -> None:
    """Make the program's training, and train in the turns that are asked for.

    module   the name of the program
    options  its options
    turns    lines with the seconds of a turn
    replies  gets a line for the first update and for each turn
    """
    try:
        training = importlib.import_module(module).Training(options)
    except ModuleNotFoundError as error:
        reply(replies, missing=error.name)
        return
    try:
        reply(replies, first_update=training.update())
        for line in turns:
            reply(replies, steps_per_s=training.measure(float(line)))
    finally:
        training.close()


def reply(replies: TextIO, **fields: Any) -> None:
    """Write one line."""
    replies.write(json.dumps(fields) + "\n")
    replies.flush()


if __name__ == "__main__":
    # What a library prints goes to the errors, so that it does not stand between the replies.
    with os.fdopen(os.dup(1), "w") as output:
        os.dup2(2, 1)
        serve(sys.argv[1], json.loads(sys.argv[2]), sys.stdin, output)
