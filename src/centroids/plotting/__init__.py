"""What `centroids report` shows, as plots of matplotlib.

Each function takes the axes to draw on, `ax`, and returns them. Without it a new figure of pyplot
is made. Needs the extra `plot`.

>>> import tempfile, numpy as np, centroids
>>> points = np.array([[0.0, 1.0], [1.0, 0.0], [9.0, 8.0], [9.0, 9.0]])
>>> with tempfile.TemporaryDirectory() as folder:
...     model = centroids.KMeansClustering(2, folder, use_mini_batch=False)
...     _ = model.train(lambda: points, steps=3)
...     axes = plot_map(model, points)
>>> axes.get_xlabel()
'first principal component (99%)'
"""

from centroids.plotting._plots import (
    plot_loss,
    plot_map,
    plot_profiles,
    plot_silhouette,
    plot_sizes,
)

__all__ = ["plot_loss", "plot_map", "plot_profiles", "plot_silhouette", "plot_sizes"]
