"""Where owners may be told of their jobs: a mail address, a web address, or the desktop they sit at."""

from __future__ import annotations

import re

DESKTOP = "desktop"
BUNDLE = "bundle"
"""Not for people: what asks a user's server to put the outputs of an array that is over together."""
MOST_TARGETS = 10
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?\Z")
_WEB = re.compile(r"https?://[A-Za-z0-9.\[\]:-]{1,255}(?:/[!-~]{0,1500})?\Z")


def is_mail(target: str) -> bool:
    """Whether *target* is a mail address."""
    return "@" in target and not target.startswith(("http://", "https://"))


def target_complaint(target: str) -> str:
    """Return why nobody can be told at *target*, as a sentence, or an empty text."""
    if target == DESKTOP or _MAIL.match(target) or _WEB.match(target):
        return ""
    return f"'{target:.80}' is no mail address (alice@example.org), no web address (https://…) and not 'desktop'"
