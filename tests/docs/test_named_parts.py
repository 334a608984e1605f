"""The hook that names what the theme leaves without a name."""

from __future__ import annotations

import runpy
from pathlib import Path

HOOK = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "named_parts.py"))


def test_menus_have_the_names_of_their_sections() -> None:
    page = "".join(
        f'<label id="__nav_{place}_label"></label><nav class="md-nav" data-md-level="1" '
        f'aria-labelledby="__nav_{place}_label"><label class="md-nav__title" for="__nav_{place}">'
        f"<span></span>\n {title}\n</label></nav>"
        for place, title in enumerate(["Gallery", "Q &amp; A"])
    )
    named = HOOK["on_post_page"](page)
    assert 'data-md-level="1" aria-label="Gallery">' in named
    assert 'data-md-level="1" aria-label="Q &amp; A">' in named
    assert "aria-labelledby" not in named


def test_the_search_has_a_name_and_the_keyboard_reaches_the_menu() -> None:
    page = (
        '<label class="md-header__button md-icon" for="__drawer"></label>'
        '<div class="md-search" role="dialog"></div>'
    )
    named = HOOK["on_post_page"](page)
    assert 'role="dialog" aria-label="Search">' in named
    assert 'for="__drawer" title="Menu" tabindex="0">' in named


def test_an_empty_head_of_a_column_is_no_head() -> None:
    html = "<tr><th></th><th>faiss</th></tr>"
    assert HOOK["on_page_content"](html) == "<tr><td></td><th>faiss</th></tr>"
