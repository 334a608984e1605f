"""README.md as an index of packages shows it.

There, links into the repository lead nowhere. They become addresses of the sources of the version,
at the `Source` of [project.urls] in pyproject.toml; while there is none, only their words stay.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:)([^)\s]+)\)")
_VERSION = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)


def long_description(text: str, address: str, version: str) -> str:
    """The text with links that work elsewhere.

    Args:
        text: That of README.md.
        address: Where the sources can be read; empty if nobody but us can.
        version: The version whose tag the links name.

    >>> long_description("see [Inputs](docs/inputs.md#csv)", "https://example.org/c", "1.2.3")
    'see [Inputs](https://example.org/c/blob/v1.2.3/docs/inputs.md#csv)'
    >>> long_description("see [Inputs](docs/inputs.md#csv)", "", "1.2.3")
    'see Inputs'
    """

    def link(found: re.Match[str]) -> str:
        words, target = found.groups()
        # An index gives headings no names, so links within the text lead to the sources, too.
        file = f"README.md{target}" if target.startswith("#") else target
        return f"[{words}]({address}/blob/v{version}/{file})" if address else words

    return _LINK.sub(link, text)


def write(tree: Path) -> None:
    """Replaces README.md in a copy of the sources."""
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = _VERSION.search((tree / "src/centroids/__init__.py").read_text(encoding="utf-8"))
    assert found is not None
    readme, address = tree / "README.md", project.get("urls", {}).get("Source", "")
    text = readme.read_text(encoding="utf-8")
    readme.write_text(long_description(text, address.rstrip("/"), found[1]), encoding="utf-8")
