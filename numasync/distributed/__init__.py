"""Runs on several machines, with Ray (the extra `ray`). Nothing here imports Ray until it is used.

`ray_cluster.py` connects to a cluster, and `nodes.py` looks at its nodes. `pool.py` plays whole runs on it, each with
cores of its own. The folder `downpour` has one run on several machines.
"""
