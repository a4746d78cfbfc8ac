"""Answers are made small for browsers that take that: a page of fifty jobs is a sixth of what it was.

The size of what is compressed tells something of it. Nobody elsewhere can make a browser ask for a page with both
their own text and a secret of ours in it: our cookie goes with no request that another site causes.
"""

from __future__ import annotations

import gzip

LEAST = 1400
"""What fits one packet is sent as it is."""
LARGE = 1 << 18
_TEXTS = ("text/", "application/json", "application/javascript", "application/x-ndjson", "image/svg")


def accepts_gzip(header: str) -> bool:
    """Whether who sends this Accept-Encoding takes gzip."""
    for one in header.lower().split(","):
        name, _, quality = one.partition(";")
        if name.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def compressed(body: bytes, content_type: str, header: str) -> bytes | None:
    """Return *body* as gzip, or None where it goes as it is; *header* is the request's Accept-Encoding."""
    if len(body) < LEAST or not content_type.startswith(_TEXTS) or not accepts_gzip(header):
        return None
    return gzip.compress(body, 1 if len(body) > LARGE else 5, mtime=0)
