"""All broken builds there are."""

from __future__ import annotations

from tests.mutants import promises, rights, trust

MUTANTS = (*promises.MUTANTS, *trust.MUTANTS, *rights.MUTANTS)
