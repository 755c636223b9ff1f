"""Writes the figures down as Prometheus or OpenMetrics text, whichever the reader asked for.

The only module that knows prometheus-client, which is imported with the first reading: most gateways are
never asked. It has a registry of its own; the library's global one is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from dragoman.telemetry.metrics import METRICS, Metric, Metrics
from dragoman.telemetry.tally import Labels


def written(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """The text and its content type. `accept` is the header of the request, "" for none."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(metrics))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Figures(Collector):
    """The table of metrics with what they stand at."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            match metric.kind:
                case "counter":
                    yield self._counter(metric)
                case "gauge":
                    yield self._gauge(metric)
                case "histogram":
                    yield self._histogram(metric)

    def _counter(self, metric: Metric) -> Family:
        family = CounterMetricFamily(metric.name, _told(metric), labels=metric.labels)
        probe = self._metrics.probes.get(metric.name)
        for labels, figure in self._samples(metric):
            family.add_metric(labels, figure)
        for labels, total in self._metrics.counts[metric.name].read():
            family.add_metric(labels, total / metric.unit if metric.unit != 1 else total)
        if probe is not None and (value := probe()) is not None:
            family.add_metric((), value)
        return family

    def _gauge(self, metric: Metric) -> Family:
        family = GaugeMetricFamily(metric.name, _told(metric), labels=metric.labels)
        probe = self._metrics.probes.get(metric.name)
        for labels, figure in self._samples(metric):
            family.add_metric(labels, figure)
        if metric.name == "dragoman_build_info":
            family.add_metric((self._metrics.version,), 1)
        elif probe is not None and (value := probe()) is not None:
            family.add_metric((), value)
        return family

    def _samples(self, metric: Metric) -> Iterable[tuple[Labels, float]]:
        """What is asked for at this moment, by its labels."""
        ask = self._metrics.samples.get(metric.name)
        return () if ask is None else ask()

    def _histogram(self, metric: Metric) -> Family:
        figures = self._metrics.histograms[metric.name]
        bounds = [*map(floatToGoString, figures.bounds), "+Inf"]
        family = HistogramMetricFamily(metric.name, _told(metric), labels=metric.labels)
        for labels, counts, total in figures.read():
            buckets = list(zip(bounds, map(float, accumulate(counts)), strict=True))
            family.add_metric(labels, buckets, total)
        return family


def _told(metric: Metric) -> str:
    return metric.meaning.replace("`", "")
