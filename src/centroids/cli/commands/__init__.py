"""What `centroids` is told on the command line: the arguments and the help of each command.

Each imports what it runs: help and completion in the shell do not wait for the rest.
"""
