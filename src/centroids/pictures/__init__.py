"""Pictures in few colors: k-means over their colors. Needs the extra `plot`, which has Pillow."""

from centroids.pictures._quantize import quantize
from centroids.pictures._reading import read_picture

__all__ = ["quantize", "read_picture"]
