"""Every example in the documentation runs and prints what it says."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
import shutil
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.run_here import run_here

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.fixture(autouse=True)
def _no_example_leads_to_an_endless_call(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert "input_fn returned the same batch" not in caplog.text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_a_page(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Before Python 3.11.4 doctest saw only the last line of an error, which may be a note.
    whole = traceback.format_exception_only
    monkeypatch.setattr(traceback, "format_exception_only", lambda *args: ["".join(whole(*args))])
    failed, _ = doctest.testfile(str(page), module_relative=False, verbose=False)
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_first_examples_of_the_readme_print_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # it writes the file of the next block
    printed, after = io.StringIO(), io.StringIO()
    names: dict[str, Any] = {}
    first, second, *_ = blocks("README.md", "python")
    with contextlib.redirect_stdout(printed):
        exec(first, names)
    with contextlib.redirect_stdout(after):
        exec(second, names)
    assert after.getvalue().strip() == second.rpartition("# ")[2].strip()
    says = re.search(r"prints (`.*?`)\. ", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert says is not None
    assert printed.getvalue().splitlines() == re.findall(r"`(.*?)`", says[1])
    for line in blocks("README.md", "bash")[1].splitlines():
        run_here(tmp_path, *shlex.split(line, comments=True)[1:])


def test_the_ported_example_of_the_readme_runs() -> None:
    lines = blocks("README.md", "diff")[0].splitlines()
    after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
    printed = io.StringIO()
    np.random.seed(0)
    with contextlib.redirect_stdout(printed):
        exec(after, {})
    scores = [
        float(line.split()[1]) for line in printed.getvalue().splitlines() if "score:" in line
    ]
    assert len(scores) == 10 and scores == sorted(scores, reverse=True)
    assert printed.getvalue().count("is in cluster") == 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "library"),
    [("docs/coming-from-faiss.md", "faiss"), ("docs/coming-from-spark.md", "pyspark")],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_programs_of_other_libraries_print_what_they_say(page: str, library: str) -> None:
    pytest.importorskip(library)
    if library == "pyspark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    program = "\n".join(blocks(page, "python"))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {})
    says = re.findall(r"^print\(.*\)  # (.*)$", program, flags=re.MULTILINE)
    assert len(says) == program.count("print(") > 1
    assert printed.getvalue().splitlines() == says
