"""Members as pictures, and the map by UMAP."""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import centroids
from tests.cli.run_here import run_here
from tests.report.test_report import Page, train, without_date

PIXELS = np.zeros((6, 6))
PIXELS[:3, :3] = np.eye(3) * 200  # pictures of 2 x 3 pixels
PIXELS[3:, 3:] = np.eye(3) * 100 + 50


def pictures_of(page: Page) -> list[tuple[str, np.ndarray]]:
    """The names and pixels of the images of a page."""
    image = pytest.importorskip("PIL.Image")
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)">', page.html)
    return [
        (name, np.array(image.open(io.BytesIO(base64.b64decode(data, validate=True)))))
        for data, name in found
    ]


def test_members_are_shown_as_the_pictures_that_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", PIXELS)
    np.save(tmp_path / "c.npy", PIXELS[[0, 3]])
    run_here(tmp_path, "train", "p.npy", "m", "--initial-clusters", "c.npy", "--steps", "1", "-q")
    run_here(tmp_path, "report", "m", "p.npy", "--pictures", "2x3", "--no-umap")
    found = pictures_of(Page(tmp_path / "report.html"))
    # Of each cluster its center, the nearest and the farthest.
    assert len(found) == 2 * 2 * (1 + 3)
    assert next(name for name, _ in found if "center" in name) == "center of cluster 0"
    for name, pixels in found:
        if name.startswith("row "):
            expected = PIXELS[int(name.removeprefix("row "))].reshape(2, 3) / 200 * 255
            np.testing.assert_array_equal(pixels, np.rint(expected))


def test_large_pictures_in_color_stay_below_the_bound(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(size=(300, 100 * 90 * 3)).astype(np.float32)
    model = centroids.KMeansClustering(30, str(tmp_path / "m"), initial_clusters=points[:30])
    model.train(lambda: points, steps=1)
    centroids.write_report(
        model, points, tmp_path / "r.html", picture_shape=(100, 90, 3), umap=False
    )
    assert (tmp_path / "r.html").stat().st_size < 5_000_000
    found = pictures_of(Page(tmp_path / "r.html"))
    assert found[0][1].shape == (48, 48, 3)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ("3x3", "--pictures 3x3 is for rows of 9 numbers, but the model has 2 columns"),
        ("2", "--pictures must be a height and a width in pixels, such as 28x28, or 32x32x3"),
        ("0x2", "--pictures 0x2 is for rows of 0 numbers"),
    ],
)
def test_shapes_that_do_not_fit(tmp_path: Path, shape: str, told: str) -> None:
    train(tmp_path)
    done = run_here(tmp_path, "report", "m", "p.csv", "--pictures", shape, code=2)
    assert told in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "report.html").exists()
    model = centroids.KMeansClustering(2, str(tmp_path / "m"))
    with pytest.raises(ValueError, match="picture_shape must be"):
        centroids.write_report(model, np.ones((3, 2)), tmp_path / "r.html", picture_shape=(2, 1, 4))


UMAP = """
import numpy as np
class UMAP:
    def __init__(self, **arguments):
        assert arguments == dict(
            n_neighbors=15, metric="euclidean", random_state=0, n_jobs=1)
    def fit_transform(self, rows):
        return rows[:, :2].astype(np.float32)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A model, points and a package that stands in for umap-learn."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "umap.py").write_text(UMAP)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    before = sys.modules.pop("umap", None)
    points = np.random.default_rng(0).normal(size=(60, 3)) + np.repeat([[0], [9]], 30, axis=0)
    np.save(tmp_path / "p.npy", points)
    run_here(tmp_path, "train", "p.npy", "m", "-k", "2", "-q")
    yield tmp_path
    sys.modules.pop("umap", None)
    if before is not None:
        sys.modules["umap"] = before


def test_umap_draws_a_map_where_it_is_installed(installed: Path) -> None:
    run_here(installed, "report", "m", "p.npy")
    maps = [title for title in Page(installed / "report.html").texts["title"] if "centers" in title]
    assert maps == [
        "60 points and 2 centers in the plane of the first two principal components",
        "60 points and 2 centers as UMAP places them",
    ]
    run_here(installed, "report", "m", "p.npy", "--no-umap")
    assert "UMAP" not in Page(installed / "report.html").html


def test_umap_that_is_asked_for_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path)
    monkeypatch.setitem(sys.modules, "umap", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = run_here(tmp_path, "report", "m", "p.csv", "--umap", code=2).stderr
    assert "--umap needs the package umap-learn" in told and len(told.splitlines()) == 1
    model = centroids.KMeansClustering(2, str(tmp_path / "m"))
    points = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(ImportError, match="pip install umap-learn"):
        centroids.write_report(model, points, tmp_path / "r.html", umap=True)
    run_here(tmp_path, "report", "m", "p.csv")
    assert "UMAP" not in Page(tmp_path / "report.html").html


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_real_umap_draws_the_same_map_each_time(tmp_path: Path) -> None:
    pytest.importorskip("umap")
    points = np.random.default_rng(0).normal(size=(90, 3)) + np.repeat([[0], [9]], 45, axis=0)
    np.save(tmp_path / "p.npy", points)
    run_here(tmp_path, "train", "p.npy", "m", "-k", "2", "-q")
    for name in ("1.html", "2.html"):
        run_here(tmp_path, "report", "m", "p.npy", "--umap", "-o", name)
    assert without_date(tmp_path / "1.html") == without_date(tmp_path / "2.html")
    assert "90 points and 2 centers as UMAP places them" in (tmp_path / "1.html").read_text()


def test_the_silhouettes_are_drawn_with_their_mean(tmp_path: Path) -> None:
    train(tmp_path)
    run_here(tmp_path, "report", "m", "p.csv")
    page = Page(tmp_path / "report.html")
    mean = page.texts["dd"][-1]
    assert f"Silhouettes of 6 points in 2 clusters; the mean is {mean}" in page.texts["title"]


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_members_come_with_columns_of_their_own(tmp_path: Path, name: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    csv = pytest.importorskip("pyarrow.csv")
    cities = ["Oslo", "<b>Rome</b>", "", "Lima", "x" * 80, "Bern"]
    rows = ["0,0", "0,2", "10,1", "10,3", "10,8", "12,4"]
    lines = [f"{city},{row}" for city, row in zip(cities, rows, strict=True)]
    (tmp_path / "p.csv").write_text("city,a,b\n" + "\n".join(lines) + "\n", encoding="utf-8")
    parquet.write_table(csv.read_csv(tmp_path / "p.csv"), tmp_path / "p.parquet")
    np.save(tmp_path / "c.npy", np.array([[0.0, 1], [10, 4]]))
    run_here(
        tmp_path, "train", name, "m", "--columns", "a,b", "--initial-clusters", "c.npy", "-q",
        "--steps", "3", "--full-batch",
    )  # fmt: skip
    run_here(tmp_path, "report", "m", name, "--show", "city", "--no-umap")
    page = Page(tmp_path / "report.html")
    nearest = page.tables["The nearest to the center of cluster 1"]
    assert nearest[0] == ["point", "city", "squared distance", "a", "b"]
    assert [row[1] for row in nearest[1:]] == ["Lima", "Bern", "", "x" * 59 + "…"]
    assert "<b>Rome</b>" in [
        row[1] for row in page.tables["The farthest from the center of cluster 0"]
    ]
    told = run_here(tmp_path, "report", "m", name, "--show", "town", code=2).stderr
    assert "has no column 'town'" in told and len(told.splitlines()) == 1


def test_members_come_with_the_pictures_that_they_name(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("pyarrow")
    (tmp_path / "data" / "photos").mkdir(parents=True)
    photos = tmp_path / "data" / "photos"
    image.fromarray(np.full((300, 600, 3), (200, 30, 30), np.uint8)).save(photos / "red.jpg")
    image.fromarray(np.zeros((20, 10, 4), np.uint8)).save(photos / "clear.PNG")
    (photos / "text.png").write_text("not a picture")
    (tmp_path / "data" / "p.csv").write_text(
        "a,b,photo\n0,0,photos/red.jpg\n0,2,photos/clear.PNG\n10,1,photos/text.png\n"
        "10,3,photos/<none>.jpg\n10,8,https://host/x.jpg\n12,4,\n"
    )
    np.save(tmp_path / "c.npy", np.array([[0.0, 1], [10, 4]]))
    run_here(
        tmp_path, "train", "data/p.csv", "m", "--columns", "a,b", "--initial-clusters", "c.npy",
        "-q", "--steps", "3", "--full-batch",
    )  # fmt: skip
    command = ["report", "m", "data/p.csv", "--show", "photo", "--no-umap"]
    told = run_here(tmp_path, *command).stderr
    assert told == (
        "centroids: 2 of 4 pictures are not shown, of which the first is "
        f"{Path('data/photos/<none>.jpg')}: not there\n"
    )
    page = Page(tmp_path / "report.html")
    members = {
        row[1]
        for caption, rows in page.tables.items()
        if caption.startswith("The nearest")
        for row in rows[1:]
    }
    assert members == {
        *(
            " photos/red.jpg",
            " photos/clear.PNG",
            "photos/text.png (not a picture that can be read)",
        ),
        *("photos/<none>.jpg (not there)", "https://host/x.jpg", ""),
    }
    found = re.findall(r'<img class="thumbnail" src="data:image/(\w+);base64,([^"]+)"', page.html)
    assert {kind for kind, _ in found} == {"jpeg", "png"} and len(found) == 4
    pictures = {
        kind: image.open(io.BytesIO(base64.b64decode(data, validate=True))) for kind, data in found
    }
    assert pictures["jpeg"].size == (96, 48) and pictures["png"].size == (10, 20)
    red = np.array(pictures["jpeg"]).reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(red, (200, 30, 30), atol=4)
    assert pictures["png"].convert("RGBA").getextrema()[3] == (0, 0)


def test_pictures_that_members_name_stay_below_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = pytest.importorskip("PIL.Image")
    from centroids.cli import thumbnails

    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    names = [f"{number}.jpg" for number in range(3)]
    for name in names:
        image.fromarray(noise).save(tmp_path / name)
    size = len(thumbnails.thumbnails_of(names, tmp_path)[names[0]])
    monkeypatch.setattr(thumbnails, "_MOST_BYTES", 3 * size)
    found = thumbnails.thumbnails_of([*names, names[0]], tmp_path)  # the first is shown twice
    assert [text.startswith("data:") for text in found.values()] == [True, True, False]
    assert found["2.jpg"] == "no room left on this page"


def test_a_picture_that_many_members_name_counts_each_time(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("pyarrow")
    random = np.random.default_rng(0)
    for number in range(3):
        noise = random.integers(0, 256, (96, 96, 4), dtype=np.uint8)
        image.fromarray(noise).save(tmp_path / f"{number}.png")
    rows = [f"{100 * (row // 10) + row % 10},{row % 3}.png" for row in range(240)]
    (tmp_path / "p.csv").write_text("a,photo\n" + "\n".join(rows) + "\n", encoding="utf-8")
    np.save(tmp_path / "c.npy", 100 * np.arange(24.0)[:, None] + 4.5)
    run_here(
        tmp_path, "train", "p.csv", "m", "--columns", "a", "--initial-clusters", "c.npy", "-q",
        "--steps", "1", "--full-batch",
    )  # fmt: skip
    told = run_here(tmp_path, "report", "m", "p.csv", "--show", "photo", "--no-umap").stderr
    assert "1 of 3 pictures are not shown" in told
    assert (tmp_path / "report.html").stat().st_size < 5_000_000
    assert Page(tmp_path / "report.html").html.count('class="thumbnail"') == 160


def test_only_files_with_names_have_more_columns(tmp_path: Path) -> None:
    train(tmp_path)
    np.save(tmp_path / "p.npy", np.ones((3, 2)))
    told = run_here(tmp_path, "report", "m", "p.npy", "--show", "a", code=2).stderr
    assert "--show is for files with named columns; p.npy has none" in told


def test_columns_of_a_text_file_are_shown_as_they_stand_there(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    train(tmp_path)
    lines = (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()
    head, *rows = lines
    marked = [f"{head},id", *(f"{row},{place:03}" for place, row in enumerate(rows))]
    (tmp_path / "q.csv").write_text("\n".join(marked) + "\n", encoding="utf-8")
    run_here(tmp_path, "report", "m", "q.csv", "--show", "id", "--no-umap")
    members = Page(tmp_path / "report.html").tables["The nearest to the center of cluster 0"]
    assert {row[1] for row in members[1:]} <= {f"{place:03}" for place in range(len(rows))}


def test_members_come_with_the_ids_that_the_model_knows(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    lines = ["id,a,b", "007,0,0", "008,0,1", "009,broken", "010,9,9", "011,9,7"]
    (tmp_path / "p.csv").write_text("\n".join([*lines[:3], *lines[4:]]) + "\n", encoding="utf-8")
    (tmp_path / "bad.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "new.csv").write_text("a,b\n0,0\n9,9\n", encoding="utf-8")
    run_here(tmp_path, "train", "p.csv", "m", "-k", "2", "--id-column", "id", "-q")

    def members(*words: str) -> list[list[str]]:
        run_here(tmp_path, "report", "m", *words, "--no-umap")
        tables = Page(tmp_path / "report.html").tables
        rows = [tables[f"The nearest to the center of cluster {cluster}"] for cluster in (0, 1)]
        return sorted(row[:-1] for table in rows for row in table if row[0] != "point")

    def shown(*pairs: tuple[int, str]) -> list[list[str]]:
        return [[f"row {row}", name] for row, name in pairs]

    ids = shown((0, "007"), (1, "008"), (2, "010"), (3, "011"))
    assert [row[:2] for row in members("p.csv")] == ids
    assert [row[:2] for row in members("p.csv", "--show", "id")] == ids
    assert next(row[1:3] for row in members("p.csv", "--show", "a")) == ["007", "0"]
    # A line that is left out keeps its number.
    ids = shown((0, "007"), (1, "008"), (3, "010"), (4, "011"))
    assert [row[:2] for row in members("bad.csv", "--bad-rows", "drop")] == ids
    # Other points may have no ids.
    assert [row[0] for row in members("new.csv")] == ["row 0", "row 1"]
