"""A page of documentation whose tables are made: each stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

_Found = TypeVar("_Found")


def fill(page: str, found: _Found, parts: Mapping[str, Callable[[_Found], str]]) -> str:
    """Return *page* with every table made anew from what was *found*; nothing else of it is touched."""

    def made(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"<!-- {name} -->\n{parts[name](found)}\n<!-- /{name} -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- /\1 -->", made, page, flags=re.DOTALL)
