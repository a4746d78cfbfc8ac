"""How commands of ``tm`` reach the dispatcher: the one of ``--etc``, else that of the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tm import places

if TYPE_CHECKING:
    from tm.client.connection import Connection
    from tm.places import Places


def places_of(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Places:
    """Return where things are for a command; raise `ConfigError`."""
    return places.find({**environ, "TM_ETC": arguments.etc} if arguments.etc else environ)


def dispatcher(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Connection:
    """Return a connection to the dispatcher; raise `TaskManagerError`."""
    from tm.client.connection import Connection

    return Connection.open_dispatcher(places_of(arguments, environ))
