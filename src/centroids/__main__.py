"""Runs the command line: python -m centroids."""

from centroids.cli import main

main()
