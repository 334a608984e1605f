"""The command line: arguments and presentation only."""

from centroids.cli.app import main

__all__ = ["main"]
