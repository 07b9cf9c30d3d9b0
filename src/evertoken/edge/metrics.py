"""Prometheus counters. Labels hold outcomes, never users, addresses or tokens."""

import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from evertoken.sessions.model import Event

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """
    The counters of this process; of all workers together where PROMETHEUS_MULTIPROC_DIR is set, which `serve` does.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._refreshes = Counter("evertoken_refreshes", "Refreshes by outcome.", ["outcome"], registry=self._registry)
        self._events = Counter("evertoken_events", "Audit events by kind.", ["kind"], registry=self._registry)
        self._answers = Counter("evertoken_http_answers", "Answers by status.", ["status"], registry=self._registry)
        self._refused = Counter(
            "evertoken_tokens_refused", "Access tokens refused, by cause.", ["cause"], registry=self._registry
        )
        self.sign_in_seconds = Histogram("evertoken_sign_in_seconds", "Time a sign-in took.", registry=self._registry)
        self._by_outcome: dict[str, Counter] = {}
        self._by_status: dict[int, Counter] = {}

    def refreshed(self, outcome: str) -> None:
        """Count one refresh. The child counter is kept: looking it up costs more than counting."""
        child = self._by_outcome.get(outcome)
        if child is None:
            child = self._by_outcome[outcome] = self._refreshes.labels(outcome)
        child.inc()

    def answered(self, status: int) -> None:
        """Count one HTTP answer."""
        child = self._by_status.get(status)
        if child is None:
            child = self._by_status[status] = self._answers.labels(str(status))
        child.inc()

    def happened(self, event: Event) -> None:
        """Count one audit event; an event hook."""
        self._events.labels(event.kind.value).inc()

    def token_refused(self, error: Exception) -> None:
        """Count one refused access token."""
        self._refused.labels(type(error).__name__).inc()

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._readable())

    def refreshes(self) -> dict[str, int]:
        """Refreshes by outcome since the server started; those that have not happened are left out."""
        return {
            sample.labels["outcome"]: int(sample.value)
            for family in self._readable().collect()
            for sample in family.samples
            if sample.name == "evertoken_refreshes_total"
        }

    def _readable(self) -> CollectorRegistry:
        """The counters of this process, or of all workers together."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry
