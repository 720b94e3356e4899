"""How is the node doing?  Prometheus text for /metrics, from the service's own counts and ours.

Counts of the service come as names with dots; each is a counter ``fangzhi_<name>_total``, or a
gauge when it tells how many there are now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node.faces.service import Service

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LEVELS: Final = ("fangzhi_waiting_", "fangzhi_logs_")  # counts that also fall
BUCKETS: Final = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds


class _ServiceCollector(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> Iterable[Metric]:
        return ()  # the names are known only when asked

    def collect(self) -> Iterable[Metric]:
        sums: dict[str, int] = {}
        for name, count in self._service.counters().items():
            sums[_plain(name)] = sums.get(_plain(name), 0) + count
        for plain, count in sorted(sums.items()):
            family = GaugeMetricFamily if plain.startswith(LEVELS) else CounterMetricFamily
            yield family(plain, "Kept by the node.", value=count)
        sizes = GaugeMetricFamily("fangzhi_log_size", "Entries in a log.", labels=["office"])
        seen = GaugeMetricFamily(
            "fangzhi_log_witnessed_size", "Witnessed entries in a log.", labels=["office"]
        )
        for office in self._service.offices():
            if office.hosted_here:
                sizes.add_metric([office.code], office.log_size)
                seen.add_metric([office.code], office.witnessed_size)
        yield sizes
        yield seen


def _plain(name: str) -> str:
    return "fangzhi_" + re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


class Metrics:
    """The registry of one web application."""

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_ServiceCollector(service))
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "fangzhi_http_requests", "Answers given.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "fangzhi_http_seconds",
            "Time to an answer.",
            ["route"],
            buckets=BUCKETS,
            registry=self._registry,
        )

    def count(self, route: str, status: int, seconds: float) -> None:
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)


METRICS: Final = web.AppKey("metrics", Metrics)


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics"""
    return web.Response(body=request.app[METRICS].text(), headers={"Content-Type": CONTENT_TYPE})


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz: the node takes requests."""
    return web.json_response({"ok": True})


def routes() -> list[web.RouteDef]:
    return [web.get("/metrics", metrics), web.get("/healthz", healthz)]
