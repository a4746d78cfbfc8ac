"""A reverse proxy as people put in front: ``reverse_proxy.py PORT UPSTREAM PREFIX`` passes PREFIX/… on."""

from __future__ import annotations

import sys

from twisted.internet import reactor  # noqa: TID251  a program of its own
from twisted.web.proxy import ReverseProxyResource
from twisted.web.resource import Resource
from twisted.web.server import Site


def main(port: int, upstream: int, prefix: str) -> None:
    """Listen on loopback until ended."""
    root = Resource()
    root.putChild(prefix.encode(), ReverseProxyResource("127.0.0.1", upstream, f"/{prefix}".encode()))
    reactor.listenTCP(port, Site(root), interface="127.0.0.1")  # type: ignore[attr-defined]  # the reactor has it
    reactor.run()  # type: ignore[attr-defined]  # and this


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
