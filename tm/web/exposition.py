"""Families of metrics as the text that Prometheus reads, written by its own library (extra ``metrics``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tm.errors import RefusedError
from tm.web.metrics import COUNTER, Family

try:
    import prometheus_client
    from prometheus_client import core
except ImportError:  # pragma: no cover  the extra is not installed
    prometheus_client = None  # type: ignore[assignment]


def text(families: Iterable[Family]) -> tuple[bytes, str]:
    """Return *families* as text, and its content type. Raises `RefusedError` ``web.metrics`` without the library."""
    if prometheus_client is None:
        raise RefusedError(
            "web.metrics",
            "metrics need the library prometheus-client in the Python of the web server:"
            " pip install 'taskmanager[metrics]', then start it again",
        )
    registry: Any = _Families(families)
    return prometheus_client.generate_latest(registry), prometheus_client.CONTENT_TYPE_LATEST


class _Families:
    """What the library asks for its metrics."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        """Yield each family in the library's own form."""
        for family in self._families:
            if family.value is not None:
                yield core.HistogramMetricFamily(
                    family.name, family.meaning, buckets=family.value.buckets(), sum_value=family.value.sum
                )
                continue
            kind = core.CounterMetricFamily if family.kind == COUNTER else core.GaugeMetricFamily
            shown = kind(family.name.removesuffix("_total"), family.meaning, labels=family.labels)
            for labels, value in family.samples:
                shown.add_metric(labels, value)
            yield shown
