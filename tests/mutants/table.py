"""All broken builds there are."""

from __future__ import annotations

from tests.mutants import promises

MUTANTS = promises.MUTANTS
