"""Draws how-many-clusters.png and prints the table of docs/how-many-clusters.md.

Run: python docs/images/make_how_many_clusters.py
"""

from pathlib import Path

import numpy as np

import centroids

random = np.random.default_rng(6)
places = np.array([[-8, -6], [-7, 5], [0, -7], [1, 4], [7, -5], [8, 6]])
points = places[random.integers(6, size=2000)] + random.normal(scale=1.6, size=(2000, 2))
found = centroids.choose_num_clusters(points, range(2, 13))
print(found)
found.plot().savefig(Path(__file__).with_name("how-many-clusters.png"), dpi=150)
