"""A model and points as one HTML page for people."""

from centroids.report._page import Findings, render, rows_shown
from centroids.report._tally import Tally
from centroids.report._writing import describe_model, write_page, write_report
from centroids.report.curve import read_loss_curve

__all__ = [
    "Findings",
    "Tally",
    "describe_model",
    "read_loss_curve",
    "render",
    "rows_shown",
    "write_page",
    "write_report",
]
