"""An extension of griffe: the examples of docstrings are blocks of code in the reference."""

from __future__ import annotations

import re
from typing import Any

import griffe

# From a prompt to the next empty line, as doctest reads it.
_EXAMPLE = re.compile(r"^>>> .*?(?=\n\s*\n(?!>>> )|\Z)", flags=re.DOTALL | re.MULTILINE)
_DIRECTIVE = re.compile(r" *# doctest: .*$", flags=re.MULTILINE)


class FenceDoctests(griffe.Extension):
    """Puts fences around the examples of each docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for each object once it is there."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(
                lambda match: f"```pycon\n{_DIRECTIVE.sub('', match[0])}\n```",
                obj.docstring.value,
            )
