"""A hook of MkDocs: each notebook becomes a page that looks like the others, with its outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by MkDocs once it has found the files."""
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            source = Path(file.src_uri)
            text = page_of(json.loads(file.content_string), source.name)
            files.append(File.generated(config, source.with_suffix(".md").as_posix(), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Called by MkDocs for each page: a link to a notebook leads to its page."""
    if page.file.src_uri.startswith("notebooks/"):
        return markdown
    return re.sub(r"\]\(([^)\s]+)\.ipynb\b", r"](\1.md", markdown)


def page_of(notebook: dict[str, Any], name: str) -> str:
    """The Markdown of a notebook, with a link to the notebook below the heading."""
    cells = [_cell(cell) for cell in notebook["cells"]]
    link = f"This page is a notebook that was run: [download it]({name})."
    return "\n\n".join([cells[0], link, *cells[1:]]) + "\n"


def _cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    return "\n\n".join([_fenced("python", source), *map(_output, cell["outputs"])])


def _output(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return _fenced("text", "".join(output["text"]))
    data = output["data"]
    if "image/png" in data:
        image = "".join(data["image/png"].split())
        # `metadata={"alt": ...}` of display() says what the picture shows.
        alt = output.get("metadata", {}).get("alt", "")
        return f'<img alt="{alt}" src="data:image/png;base64,{image}">'
    if "text/html" in data:
        # Tables look like all others: without the border and the class that pandas gives them.
        table = re.sub(r"<table[^>]*>", "<table>", "".join(data["text/html"]))
        return f'<div class="output">{table}</div>'
    return _fenced("text", "".join(data["text/plain"]))


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```"
