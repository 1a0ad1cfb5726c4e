"""What Prometheus reads at ``/metrics``: how much, how fast, how well."""

from __future__ import annotations

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from shortlist.recommender import Answer
from shortlist.recommender.popularity_bands import BANDS, PopularityBands
from shortlist.service.exposure import BandCounter

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
COUNTS = (0, 1, 5, 10, 20, 50, 100, 200, 500, 1_000)
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable with a folder where several workers put their figures together."""


class Metrics:
    """All figures of one application. Labels hold routes, stages and meanings, never an id."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "shortlist_http_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "shortlist_http_request_seconds", "Time to answer", ["route"], registry=registry, buckets=SECONDS
        )
        self.stage_seconds = Histogram(
            "shortlist_stage_seconds", "Time of one stage of an answer", ["stage"], registry=registry, buckets=SECONDS
        )
        self.candidates = Histogram(
            "shortlist_candidates", "Items that left a stage", ["stage"], registry=registry, buckets=COUNTS
        )
        self.queries = Counter("shortlist_queries", "Queries, cold: without any like", ["history"], registry=registry)
        self.fallbacks = Counter(
            "shortlist_fallbacks",
            "Answers given by less than all: without the store (artifact), or by what is popular",
            ["answer"],
            registry=registry,
        )
        self.remembered = Counter(
            "shortlist_remembered_answers", "Given as before, for nothing had changed", registry=registry
        )
        self.events = Counter("shortlist_events", "Events acknowledged, by meaning", ["meaning"], registry=registry)
        self.item_changes = Counter(
            "shortlist_item_changes", "Items put and deleted over HTTP", ["change"], registry=registry
        )
        self.repeated_events = Counter("shortlist_repeated_events", "Events that were there already", registry=registry)
        self.store_errors = Counter("shortlist_store_errors", "Requests the event store failed", registry=registry)
        self.commit_seconds = Histogram(
            "shortlist_commit_seconds", "Time to make events durable", registry=registry, buckets=SECONDS
        )
        self.commit_events = Histogram(
            "shortlist_commit_events", "Events made durable together", registry=registry, buckets=COUNTS[1:]
        )
        self.refused = Counter(
            "shortlist_refused_requests",
            "Requests refused unread: without a known key (key), the right scope (scope), or too many (rate)",
            ["reason"],
            registry=registry,
        )
        self.arms = Counter(
            "shortlist_experiment_answers", "Answers of an experiment's arms", ["experiment", "arm"], registry=registry
        )
        self.lost_exposures = Counter("shortlist_lost_exposures", "Exposures that could not be kept", registry=registry)
        self.reloads = Counter("shortlist_reloads", "Artifacts loaded anew", ["result"], registry=registry)
        bands = "by popularity in the data: 01 the most popular items with a tenth of it all, ..., 10 the tail, new"
        self.shown = BandCounter(
            Counter("shortlist_shown_items", f"Items recommended, {bands}", ["band"], registry=registry)
        )
        self.taken = BandCounter(
            Counter("shortlist_taken_items", f"Items of liked and taken events, {bands}", ["band"], registry=registry)
        )
        self._learned = Gauge(
            "shortlist_learned_share",
            "Share of the data the artifact was made from, by the same bands",
            ["band"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )

    def committed(self, rows: int, seconds: float) -> None:
        """After each commit of the store."""
        self.commit_events.observe(rows)
        self.commit_seconds.observe(seconds)

    def answered(self, answer: Answer, *, cold: bool) -> None:
        """After each list."""
        self.queries.labels("cold" if cold else "warm").inc()
        if "remembered" in answer.stages:
            self.remembered.inc()
            return
        for name, stage in answer.stages.items():
            if "seconds" in stage:
                self.stage_seconds.labels(name).observe(stage["seconds"])
            if "candidates" in stage:
                self.candidates.labels(name).observe(stage["candidates"])
            if "fallback" in stage or name == "fallback":
                self.fallbacks.labels(stage.get("fallback") or stage["answer"]).inc()

    def compare_with(self, bands: PopularityBands) -> None:
        """What is shown and taken stands beside the data of this artifact from now on."""
        for band, share in zip(BANDS, bands.share.tolist(), strict=True):
            self._learned.labels(band).set(share)

    def page(self) -> bytes:
        """In Prometheus' text format; of all workers together where there are several."""
        return generate_latest(self._all_workers())

    def families(self) -> Iterable[Metric]:
        """The same, to be read here."""
        return self._all_workers().collect()

    def _all_workers(self) -> CollectorRegistry:
        for counter in (self.shown, self.taken):
            counter.hand_over()
        if MULTIPROCESS not in os.environ:
            return self.registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry
