"""A model and points as one HTML page for people."""

from centroids.report._findings import Findings, Silhouettes, rows_shown
from centroids.report._page import render
from centroids.report._pictures import check_shape
from centroids.report._planes import Plane, has_umap
from centroids.report._tally import Tally
from centroids.report._writing import describe_model, examine, write_page, write_report
from centroids.report.curve import read_loss_curve

__all__ = [
    "Findings",
    "Plane",
    "Silhouettes",
    "Tally",
    "check_shape",
    "describe_model",
    "examine",
    "has_umap",
    "read_loss_curve",
    "render",
    "rows_shown",
    "write_page",
    "write_report",
]
