"""How hypothesis is used here: the same examples in every run, so many of them, and nothing remembered."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings


def examples(most: int, shrink: bool = True) -> settings:
    """Return the settings of a property that is tried with at most *most* examples."""
    phases = (Phase.explicit, Phase.generate, Phase.shrink) if shrink else (Phase.explicit, Phase.generate)
    return settings(
        max_examples=most, derandomize=True, deadline=None, database=None, phases=phases,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
