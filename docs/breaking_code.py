"""A hook of MkDocs: code breaks where a reader expects it, which matters on a phone.

Options such as `--id-column` stay whole. In tables, which are narrow there, long names may break
after a dot, an underscore and the like. Outputs with long lines are marked, so that the style sheet
can make them smaller.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

_PARTS = re.compile(r"(<pre.*?</pre>)|(<table.*?</table>)|<code>([^<]*)</code>", re.DOTALL)
_SHELL = re.compile(r'class="language-(bash|sh)\b.*?</pre>', re.DOTALL)
_TEXT = re.compile(r">([^<]+)(?=<)")
_OUTPUT = re.compile(r'class="language-text (highlight"><pre>.*?</pre>)', re.DOTALL)
_CODE = re.compile(r"<code>([^<]*)</code>")
_OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*")
_MAY_BREAK = re.compile(r"(?<=[\w)\]])(?:[@_/=,(]+|\.(?=[A-Za-z]))(?=\S)")
_LONG = 10
_LINE_OF_A_PHONE = 46  # characters of the usual size


def on_page_content(html: str, **_: Any) -> str:
    """Called by MkDocs for the HTML of each page."""
    html = _OUTPUT.sub(_marked, _PARTS.sub(_treat, html))
    return _SHELL.sub(lambda block: _TEXT.sub(lambda text: f">{_whole(text[1])}", block[0]), html)


def _marked(found: re.Match[str]) -> str:
    lines = unescape(re.sub("<[^>]*>", "", found[1].partition(">")[2])).splitlines()
    wide = "wide " if max(map(len, lines), default=0) > _LINE_OF_A_PHONE else ""
    return f'class="language-text {wide}{found[1]}'


def _treat(found: re.Match[str]) -> str:
    block, table, code = found.groups()
    if block is not None:
        return str(block)
    if table is not None:
        return _CODE.sub(lambda cell: f"<code>{_breakable(_whole(cell[1]))}</code>", table)
    return f"<code>{_whole(code)}</code>"


def _whole(code: str) -> str:
    return _OPTION.sub(r'<span class="whole">\g<0></span>', code)


def _breakable(code: str) -> str:
    words = re.split(r"(<[^>]*>|\s+)", code)
    return "".join(
        word if word.startswith("<") or len(word) <= _LONG else _MAY_BREAK.sub(r"\g<0><wbr>", word)
        for word in words
    )
