"""Points with missing values, and with columns of different units."""

from __future__ import annotations

import numpy as np

ROWS = 240
_RANDOM = np.random.default_rng(3)
_PLACES = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])

# The second column has clusters, too, but its unit hides those of the first one.
WHOLE = (_PLACES[np.arange(ROWS) % 3] + _RANDOM.normal(size=(ROWS, 2)) / 2) * [1, 1000]
BLANK = _RANDOM.random(ROWS) < 0.1
POINTS = np.where(BLANK[:, None] & np.array([True, False]), np.nan, WHOLE)
WEIGHTS = _RANDOM.integers(1, 4, ROWS).astype(float)
