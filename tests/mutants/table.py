"""All broken builds there are."""

from __future__ import annotations

from tests.mutants import connections, contact, durability, endings, identity, rights, signatures, starts, web

MUTANTS = (
    *durability.MUTANTS, *starts.MUTANTS, *endings.MUTANTS, *contact.MUTANTS, *identity.MUTANTS, *signatures.MUTANTS,
    *connections.MUTANTS, *web.MUTANTS, *rights.MUTANTS,
)  # fmt: skip
