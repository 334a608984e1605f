"""Times centroids against its peers: tasks x peers, one run. `python -m benchmarks --help`."""
