"""The line protocol without I/O: bytes in, messages out, and back. ``docs/protocol.md`` is its specification.

Standard library only and nothing heavy, because the clients load it too.
"""
