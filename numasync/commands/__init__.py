"""The commands, one file each: `add_arguments` describes what it takes, `run` does it.

`numasync/cli.py` lists them. They share the class `Command`, the options of a run (`options.py`) and the argument AGENT
(`agent_argument.py`).
"""
