"""Code on a phone: options stay whole, and long names in tables break where one reads a pause."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[2] / "docs" / "breaking_code.py"


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<p><code>--id-column ID</code></p>", '<code><span class="whole">--id-column</span> ID<'),
        ("<p><code>a-b, 1 - c</code></p>", "<code>a-b, 1 - c</code>"),
        ("<p><code>num_empty_clusters</code></p>", "<code>num_empty_clusters</code>"),
        (
            "<table><td><code>num_empty_clusters</code></td></table>",
            "num_<wbr>empty_<wbr>clusters<",
        ),
        ("<table><td><code>labels.npy</code></td></table>", "<code>labels.npy</code>"),
        (
            "<table><td><code>f(a, &quot;b&quot;)</code></td></table>",
            "<code>f(a, &quot;b&quot;)</code>",
        ),
        (
            '<div class="language-bash"><pre><code>train <span class="s">x</span> --mini-batch\n'
            "</code></pre></div>",
            ' <span class="whole">--mini-batch</span>\n',
        ),
        (
            '<div class="language-pycon"><pre><code>x --y\n</code></pre></div>',
            "<code>x --y\n</code>",
        ),
        (
            f'<div class="language-text highlight"><pre><code>{"&lt;" * 46}\n</code></pre></div>',
            'class="language-text highlight"',
        ),
        (
            f'<div class="language-text highlight"><pre><code>1\n{"x" * 47}</code></pre></div>',
            'class="language-text wide highlight"',
        ),
    ],
)
def test_where_code_breaks(html: str, shown: str) -> None:
    assert shown in runpy.run_path(str(HOOK))["on_page_content"](html)
