"""A hook of MkDocs: parts of the theme's pages get the names that screen readers read out.

The theme leaves the dialog of the search and the menus of sections with pages of their own without
one, and the keyboard does not reach the button of the menu on phones. Empty heads of tables, as
Markdown and pandas write them, become plain cells.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Any

_BUTTON = '<label class="md-header__button md-icon" for="__drawer"'
_MENU = re.compile(
    r'(<nav class="md-nav" data-md-level="1") aria-labelledby="(__nav_\d+)_label"'
    r'(?P<rest>.*?<label class="md-nav__title" for="\2">(?P<title>.*?)</label>)',
    re.DOTALL,
)


def on_page_content(html: str, **_: Any) -> str:
    """Called by MkDocs for the HTML of each page."""
    return html.replace("<th></th>", "<td></td>")


def on_post_page(output: str, **_: Any) -> str:
    """Called by MkDocs for each whole page."""
    output = output.replace(' role="dialog">', ' role="dialog" aria-label="Search">', 1)
    output = output.replace(_BUTTON, f'{_BUTTON} title="Menu" tabindex="0"', 1)
    return _MENU.sub(_named, output)


def _named(found: re.Match[str]) -> str:
    title = " ".join(unescape(re.sub("<[^>]*>", "", found["title"])).split())
    return f'{found[1]} aria-label="{escape(title)}"{found["rest"]}'
