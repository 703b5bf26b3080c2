"""One run on several machines, as in Downpour SGD (Dean et al. 2012).

`parameter_server.py` holds the parameters of all machines, and has the equation. `node.py` is a machine that trains.
`ray_actors.py` makes processes of both, and `fleet.py` starts the machines. `run_over_nodes.py` is the program that
starts the run. `in_one_process.py` does the same without a cluster, and `simulation.py` without any training.
"""
