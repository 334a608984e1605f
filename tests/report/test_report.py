"""The page that `centroids report` and `write_report` write, read back as people get it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import centroids
from centroids.estimator.hooks._event_files import EventWriter
from centroids.report import read_loss_curve
from tests.cli.run_here import run_here

ROWS = [[0, 0], [0, 2], [10, 1], [10, 3], [10, 8], [12, 4]]
CENTERS = [[0, 1], [10, 4]]
VOID = {"meta", "br", "img"}


class Page(HTMLParser):
    """A page: its tables by caption, the texts of its elements, and whether its tags match."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: dict[str, list[str]] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens an element."""
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag in VOID:
            return
        self.open.append(tag)
        self.texts.setdefault(tag, []).append("")
        if tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        elif tag == "table":
            self._rows: list[list[str]] = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Takes an element of SVG without content."""
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Closes the innermost element, which must be this one."""
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self.texts["caption"][-1]] = self._rows

    def handle_data(self, data: str) -> None:
        """Adds text to all open elements."""
        for tag in set(self.open):
            self.texts[tag][-1] += data
        if "table" in self.open and ("td" in self.open or "th" in self.open):
            self._rows[-1][-1] += data


def train(folder: Path, head: str = "a,b", metric: str = "squared_euclidean") -> None:
    """A model of two clusters, which stays at these centers, and its points."""
    np.savetxt(folder / "p.csv", ROWS, delimiter=",", fmt="%d", header=head, comments="")
    np.save(folder / "c.npy", np.array(CENTERS, float))
    run_here(
        folder, "train", "p.csv", "m", "--initial-clusters", "c.npy", "--steps", "3", "-q",
        "--full-batch", "--distance-metric", metric,
    )  # fmt: skip


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    train(tmp_path)
    return tmp_path


def test_the_page_says_what_hand_and_paper_say(trained: Path) -> None:
    run_here(trained, "report", "m", "p.csv", "--output", "r.html")
    page = Page(trained / "r.html")
    # The centers become the means (0, 1) and (10.5, 4).
    sizes = page.tables["Clusters from the largest to the smallest"]
    assert [row[0] for row in sizes] == ["cluster", "1", "0"]
    assert [row[2:5] for row in sizes[1:]] == [["4", "66.7%", "7.25"], ["2", "33.3%", "1"]]
    nearest = page.tables["The nearest to the center of cluster 1"]
    assert nearest[0] == ["point", "squared distance", "a", "b"]
    assert nearest[1:] == [
        ["row 3", "1.25", "10", "3"],
        ["row 5", "2.25", "12", "4"],
        ["row 2", "9.25", "10", "1"],
        ["row 4", "16.25", "10", "8"],
    ]
    farthest = page.tables["The farthest from the center of cluster 1"]
    assert [row[0] for row in farthest[1:]] == ["row 4", "row 2", "row 5", "row 3"]
    # The mean of all points is (7, 3); their deviations are 5 and sqrt(20 / 3).
    profile = page.tables["Where cluster 0 differs most"]
    deviations = np.std(ROWS, axis=0)
    assert [row[0] for row in profile[1:]] == ["a", "b"]
    assert [float(row[2]) for row in profile[1:]] == [
        round(float(value), 2) for value in np.array([0 - 7, 1 - 3]) / deviations
    ]
    assert [row[3:] for row in profile[1:]] == [["0", "7"], ["1", "3"]]
    # What is below the mean of all has its bar on the left.
    bars = [value for _, name, value in page.attributes if name == "class" and "bar " in value]
    assert bars[:2] == ["bar c1", "bar c0"]  # those of the sizes
    assert bars[2:] == ["bar below", "bar below", "bar above", "bar above"]
    settings = dict(page.tables["What was clustered and how"][1:])
    assert settings["distance metric"] == "squared_euclidean"
    assert settings["clusters"] == "2"
    assert settings["columns"] == "a,b"
    assert settings["version of centroids"] == centroids.__version__
    assert settings["points"] == "p.csv"


def test_the_silhouette_is_that_of_its_definition(trained: Path) -> None:
    run_here(trained, "report", "m", "p.csv")
    page = Page(trained / "report.html")
    points, labels = np.array(ROWS, float), np.array([0, 0, 1, 1, 1, 1])
    scores = []
    for place, point in enumerate(points):
        away = np.linalg.norm(points - point, axis=1)
        own = labels == labels[place]
        within, between = away[own].sum() / (own.sum() - 1), away[~own].mean()
        scores.append((between - within) / max(within, between))
    assert f"{np.mean(scores):.3f}" in page.texts["dd"]
    sizes = page.tables["Clusters from the largest to the smallest"]
    assert [row[5] for row in sizes[1:]] == [
        f"{np.mean(scores[2:]):.3f}", f"{np.mean(scores[:2]):.3f}",
    ]  # fmt: skip


def test_the_curve_has_the_losses_of_the_event_files(trained: Path) -> None:
    expected = sum(min(np.sum((np.subtract(x, c)) ** 2) for c in CENTERS) for x in ROWS)
    losses = read_loss_curve(str(trained / "m"))
    assert losses[0] == (1, expected)
    run_here(trained, "report", "m", "p.csv")
    page = Page(trained / "report.html")
    assert page.tables["Loss by step"][1] == ["1", f"{expected}"]
    for file in (trained / "m").glob("*.tfevents.*"):
        file.unlink()
    run_here(trained, "report", "m", "p.csv")
    assert "so there is no curve" in (trained / "report.html").read_text(encoding="utf-8")


def test_a_later_run_takes_back_steps_of_the_one_before(tmp_path: Path) -> None:
    for first, losses in ((None, {1: 9.0, 2: 8.0, 3: 7.0}), (3, {3: 1e300, 4: 6.0})):
        with EventWriter(str(tmp_path), first_step=first) as writer:
            for step, loss in losses.items():
                writer.add_scalars({"loss": loss, "other": 0.0}, step)
    assert read_loss_curve(str(tmp_path)) == [(1, 9.0), (2, 8.0), (3, 1e300), (4, 6.0)]
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-5])
    assert read_loss_curve(str(tmp_path))[-1] == (3, 1e300)


def test_markup_in_names_stays_text(tmp_path: Path) -> None:
    hostile = '<script>alert("1")</script>'
    train(tmp_path, head="'><img src=x onerror=alert(1)>,b</table>")
    names = "\n".join([hostile, "a&b", "\x1b[31m", "'", '"', "</details>"])
    (tmp_path / "w.txt").write_text(names, encoding="utf-8")
    (tmp_path / "<i>.csv").write_bytes((tmp_path / "p.csv").read_bytes())
    run_here(tmp_path, "report", "m", "<i>.csv", "--words", "w.txt")
    page = Page(tmp_path / "report.html")
    assert not {"script", "img", "i"} & {*page.texts, *(tag for tag, _, _ in page.attributes)}
    points = [row[0] for row in page.tables["The nearest to the center of cluster 0"][1:]]
    assert points == [hostile, "a&b"]
    assert "b</table>" in [row[0] for row in page.tables["Where cluster 0 differs most"]]
    assert page.texts["title"][0] == "Clusters of <i>.csv"
    assert "\x1b" not in page.html


def test_the_page_loads_nothing_and_has_names_for_all(trained: Path) -> None:
    run_here(trained, "report", "m", "p.csv")
    page = Page(trained / "report.html")
    assert "http" not in page.html
    assert "@import" not in page.html
    assert "url(" not in page.html
    ids = {value for _, name, value in page.attributes if name == "id"}
    for _, name, value in page.attributes:
        assert name not in ("src", "srcset") and not name.startswith("on")
        if name == "href":
            assert value.removeprefix("#") in ids
    for picture in re.findall(r"<svg[^>]*>", page.html):
        assert 'role="img"' in picture
        assert re.search(r'aria-label="[^"]+"', picture)
    for box in re.findall(r'<div class="box"[^>]*>', page.html):
        assert 'tabindex="0"' in box
    assert '<html lang="en">' in page.html
    assert "prefers-color-scheme:dark" in page.html
    assert len(page.texts["h1"]) == 1


def without_date(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    cut = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "DATE", text)
    assert cut != text
    return cut


def test_the_command_says_where_the_page_is(trained: Path) -> None:
    done = run_here(trained, "report", "m", "p.csv", "--output", "where.html")
    assert done.stdout == "Wrote where.html; open it in a browser\n"


def test_equal_inputs_give_equal_pages(trained: Path) -> None:
    for name in ("1.html", "2.html"):
        run_here(trained, "report", "m", "p.csv", "-o", name)
    assert without_date(trained / "1.html") == without_date(trained / "2.html")


def test_a_large_model_has_a_page_below_its_bound(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(1500, 120)).astype(np.float32)
    model = centroids.KMeansClustering(
        700, str(tmp_path / "m"), initial_clusters=points[:700], distance_metric="cosine"
    )
    model.train(lambda: points, steps=1)
    columns = [
        f"a column with a long name, as tables have them: {place}" * 9 for place in range(120)
    ]
    centroids.write_report(model, points, tmp_path / "r.html", columns=columns)
    assert (tmp_path / "r.html").stat().st_size < 5_000_000
    page = Page(tmp_path / "r.html")
    assert len(page.tables["Clusters from the largest to the smallest"]) == 201
    assert "The 24 largest of" in page.html
    assert "cosine distance" in page.html


def test_command_and_library_show_the_same(tmp_path: Path) -> None:
    train(tmp_path, metric="cosine")
    np.save(tmp_path / "p.npy", np.array(ROWS[1:], float))
    run_here(tmp_path, "report", "m", "p.npy", "-o", "c.html")
    model = centroids.KMeansClustering(2, str(tmp_path / "m"), distance_metric="cosine")
    centroids.write_report(model, np.array(ROWS[1:], float), tmp_path / "l.html")
    one, other = Page(tmp_path / "c.html"), Page(tmp_path / "l.html")
    for page in (one, other):
        page.tables.pop("What was clustered and how")
    assert one.tables == other.tables
    assert one.tables["The nearest to the center of cluster 1"][0][1] == "cosine distance"


@pytest.mark.parametrize("points", ["SELECT * FROM 'p.csv'", "p*.csv"])
def test_points_that_are_not_one_file_have_the_page_of_the_file(trained: Path, points: str) -> None:
    pytest.importorskip("duckdb")
    run_here(trained, "report", "m", "p.csv", "-o", "one.html")
    run_here(trained, "report", "m", points, "-o", "other.html")
    one, other = Page(trained / "one.html"), Page(trained / "other.html")
    settings = [dict(page.tables.pop("What was clustered and how")) for page in (one, other)]
    assert one.tables == other.tables
    size = f"{(trained / 'p.csv').stat().st_size:,} bytes"
    assert settings[0]["size of the files"] == size
    assert settings[1].get("size of the files") == (None if "FROM" in points else size)


def test_rows_that_are_left_out_do_not_shift_the_numbers(trained: Path) -> None:
    lines = (trained / "p.csv").read_text(encoding="utf-8").splitlines()
    lines.insert(1, "nan,1")
    (trained / "bad.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    told = run_here(trained, "report", "m", "bad.csv", code=2).stderr
    assert "bad.csv" in told and "--bad-rows drop" in told
    assert not (trained / "report.html").exists()
    run_here(trained, "report", "m", "bad.csv", "--bad-rows", "drop")
    page = Page(trained / "report.html")
    points = [row[0] for row in page.tables["The nearest to the center of cluster 0"][1:]]
    assert points == ["row 1", "row 2"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["m", "none.csv"], "none.csv: No such file"),
        (["m", "p.csv", "-o", "r.pdf"], "--output must be an .html file, got r.pdf"),
        (["m", "p.csv", "-o", "none/r.html"], "--output none/r.html: there is no folder none"),
        (["m", "empty.csv"], "empty.csv"),
        (["m", "none.csv"], "none.csv: No such file or directory"),
        (["m", "SELECT * FROM none"], 'the query "SELECT * FROM none" fails'),
        (["m", "p.csv", "--words", "p.csv"], "p.csv has 7 names, p.csv has 6 points"),
        (["m", "p.csv", "--words-column", "x"], "--words-column"),
        (["p.csv", "m"], "the model folder comes first"),
        (["m", "wide.csv"], "wide.csv"),
    ],
)
def test_bad_input_ends_in_one_line_and_no_file(
    trained: Path, arguments: list[str], told: str
) -> None:
    (trained / "empty.csv").write_text("a,b\n", encoding="utf-8")
    (trained / "wide.csv").write_text("x,y,z\n1,2,3\n", encoding="utf-8")
    before = sorted(trained.rglob("*"))
    error = run_here(trained, "report", *arguments, code=2).stderr
    assert told in error
    assert len(error.splitlines()) == 1
    assert sorted(trained.rglob("*")) == before


def test_an_interrupt_leaves_nothing(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (trained / "report.html").write_text("old", encoding="utf-8")
    before = sorted(trained.rglob("*"))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("centroids.files.put_in_place", interrupt)
    assert run_here(trained, "report", "m", "p.csv", code=130).stderr.endswith("Stopped.\n")
    assert sorted(trained.rglob("*")) == before
    assert (trained / "report.html").read_text(encoding="utf-8") == "old"


def test_the_library_names_what_does_not_match(trained: Path) -> None:
    model = centroids.KMeansClustering(2, str(trained / "m"))
    with pytest.raises(ValueError, match="columns must have 2 entries"):
        centroids.write_report(model, np.array(ROWS, float), trained / "r.html", columns=["a"])
    with pytest.raises(ValueError, match="names must have 6 entries"):
        centroids.write_report(model, np.array(ROWS, float), trained / "r.html", names=["a"])
    with pytest.raises(ValueError, match="n at least 1"):
        centroids.write_report(model, np.empty((0, 2)), trained / "r.html")
    assert not (trained / "r.html").exists()


def test_points_of_one_column_and_of_one_place_have_a_page(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.full((5, 1), 7.0))
    np.save(tmp_path / "c.npy", np.array([[0.0], [7.0]]))
    run_here(tmp_path, "train", "p.npy", "m", "--initial-clusters", "c.npy", "--steps", "1", "-q")
    run_here(tmp_path, "report", "m", "p.npy")
    page = Page(tmp_path / "report.html")
    assert page.tables["Where cluster 1 differs most"][1][2:] == ["+0.00", "7", "7"]
    assert "nan" not in page.html.lower().replace("provenance", "")
