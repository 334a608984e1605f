"""Draws home.png, the picture of docs/index.md.

Run: python docs/images/make_home.py
"""

from pathlib import Path

import numpy as np
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure

from centroids.sklearn import KMeans

random = np.random.default_rng(5)
turns = random.uniform(0.4, 3.0, size=12_000) * np.pi
spiral = (turns * np.array([np.cos(turns), np.sin(turns)])).T
points = spiral * [2, 1] + random.normal(scale=0.55, size=spiral.shape)
kmeans = KMeans(n_clusters=24, random_state=0).fit(points)

# Neighbors differ in hue; none is too light for a white page or too dark for a black one.
order = np.argsort(np.argsort(np.arctan2(*kmeans.cluster_centers_.T)))
colors = hsv_to_rgb(np.stack([order * 0.618 % 1, order * 0 + 0.6, order * 0 + 0.8], axis=1))
figure = Figure(figsize=(9, 4.2))
axes = figure.add_axes((0, 0, 1, 1))
axes.scatter(*points.T, c=colors[kmeans.labels_], s=4, linewidths=0)
centers = kmeans.cluster_centers_.T
axes.scatter(*centers, s=90, color="#ffffff", edgecolors="#222222", linewidths=1.2)
axes.set_axis_off()
figure.savefig(Path(__file__).with_name("home.png"), dpi=100, transparent=True)
