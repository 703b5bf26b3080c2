"""The programs that are compared, each a file with a class `Training`. `serve.py` runs one of them in a process.

Training(options) makes everything that a training needs. `peers/session.py` says which options there are.

    update()          train until the first update is made; return the time at which it was made, as of time.time()
    measure(seconds)  train for some seconds and return the steps per second of all environments together
    close()           end what it has started

A peer imports nothing of numasync, so that it starts as fast as if its user had written it. It reads nothing
but its options and starts with random parameters.
"""
