"""Points that change during a call: any answer or an error, but no memory outside the arrays.

The kernels' own reads are what is tested, so a thread of NumPy writes while they run.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

PROGRAM = """
import threading, time
import numpy as np, scipy.sparse
from centroids import kernels

random = np.random.default_rng(0)
kernels.set_num_threads(2)

# Calls the function while another thread puts values into the array, and may take them out again.
def call(function, array, values, restore, seconds={seconds}):
    flat, before = array.reshape(-1), array.reshape(-1).copy()
    until = time.monotonic() + seconds

    def change():
        while time.monotonic() < until:
            places = random.integers(flat.size, size=64)
            flat[places] = random.choice(values, 64)
            if restore:
                flat[places] = before[places]

    writer = threading.Thread(target=change)
    writer.start()
    while time.monotonic() < until:
        try:
            function()
        except ValueError:
            pass
    writer.join()

{body}
print("done")
"""

DENSE = """
values = [np.nan, np.inf, 1e30, 0, 1]
for search, d, k in [
    ("float_filter", 20, 50), ("byte_filter", 40, 50), ("axes_filter", 40, 50), ("grid", 2, 50),
    ("panels", 20, 50)
]:
    for dtype in ("f4", "f8"):
        points = random.normal(size=(6000, d)).astype(dtype)
        centers = points[:k].copy()
        memory = kernels.AssignmentMemory()
        for cosine in (False, True):
            call(
                lambda: kernels.assign(
                    points, centers, update=True, search=search, memory=memory, cosine=cosine
                ),
                points,
                np.array(values, dtype),
                restore=True,
            )
"""

SPARSE = """
centers = random.normal(size=(70, 200)).astype("f4")
kernels.functions.check_points = lambda points: points  # the change comes after the check
for part in ("indices", "indptr"):
    for function in (kernels.assign, kernels.all_distances):
        for cosine in (False, True):
            points = scipy.sparse.random(3000, 200, 0.1, format="csr", dtype="f4", random_state=0)
            array = getattr(points, part)
            values = np.array([-1, -2**31, 0, 199, 200, 10**6, 2**31 - 1], array.dtype)
            call(lambda: function(points, centers, cosine=cosine), array, values, restore=False)
"""


def run(body: str, seconds: float = 0.2) -> None:
    program = textwrap.dedent(PROGRAM).format(seconds=seconds, body=body)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and done.stdout == "done\n", (done.returncode, done.stderr)


def test_dense_points() -> None:
    run(DENSE)


def test_sparse_index_arrays() -> None:
    run(SPARSE)


def test_sparse_arrays_that_are_replaced() -> None:
    run(
        """
points = scipy.sparse.random(300, 20, 0.1, format="csr", dtype="f4", random_state=0)
centers = points[:7].toarray()
kernels.functions.check_points = lambda points: points
for name in ("data", "indices", "indptr"):
    for length in (0, 1, 10):
        changed = points.copy()
        setattr(changed, name, getattr(changed, name)[:length].copy())
        for function in (kernels.assign, kernels.all_distances):
            try:
                function(changed, centers)
            except ValueError as error:
                assert "damaged sparse matrix: it was changed" in str(error), error
            else:
                raise AssertionError(name)
"""
    )
