"""Every notebook of the documentation runs, and prints what is shown below its cells."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def shown(cell: dict[str, Any]) -> list[tuple[str, str]]:
    """The texts below a cell; of a picture only that there is one."""
    found: list[tuple[str, str]] = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            assert output["name"] == "stdout", output["text"]
            text = "".join(output["text"])
            if found and found[-1][0] == "stdout":  # when it is flushed depends on time
                text = found.pop()[1] + text
            found.append(("stdout", text))
        elif "image/png" in output["data"]:
            found.append(("image/png", ""))
        else:
            found.append(("text/plain", "".join(output["data"]["text/plain"])))
    return found


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_it_prints(path: Path) -> None:
    nbformat: Any = pytest.importorskip("nbformat")
    nbclient: Any = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    before = json.loads(path.read_text(encoding="utf-8"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the client's own event loop and sockets
        notebook = nbformat.read(path, as_version=4)
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    cells = [cell for cell in before["cells"] if cell["cell_type"] == "code"]
    again = [cell for cell in notebook.cells if cell["cell_type"] == "code"]
    assert cells and all(cell["execution_count"] for cell in cells), "run it and save its outputs"
    for old, new in zip(cells, again, strict=True):
        if "varies" in old["metadata"].get("tags", []):
            assert [kind for kind, _ in shown(old)] == [kind for kind, _ in shown(new)]
        else:
            assert shown(old) == shown(new), "".join(old["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_a_notebook_lead_somewhere(path: Path) -> None:
    text = "".join(
        "".join(cell["source"])
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "markdown"
    )
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert targets
    for target in targets:
        assert (path.parent / target).exists(), target
