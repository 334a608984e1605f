"""Models from and for other programs."""

from centroids.export.tensorflow_checkpoint import load_tensorflow_checkpoint

__all__ = ["load_tensorflow_checkpoint"]
