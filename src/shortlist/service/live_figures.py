"""The counters of ``/metrics`` as plain values: totals since the start, of all workers together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from prometheus_client import Metric

from shortlist.recommender.popularity_bands import BANDS, PopularityBands, stability_index

_COUNTERS = {  # ours → Prometheus', with the label that tells them apart
    "queries": ("shortlist_queries_total", "history"),
    "fallbacks": ("shortlist_fallbacks_total", "answer"),
    "refused": ("shortlist_refused_requests_total", "reason"),
    "events": ("shortlist_events_total", "meaning"),
    "reloads": ("shortlist_reloads_total", "result"),
}
_HISTOGRAMS = {
    "request_seconds": ("shortlist_http_request_seconds", "route"),
    "stage_seconds": ("shortlist_stage_seconds", "stage"),
    "commit_seconds": ("shortlist_commit_seconds", ""),
}
ENOUGH = 200  # items: of fewer an index says how few they are
Samples = Mapping[str, list[tuple[Mapping[str, str], float]]]


def live_figures(families: Iterable[Metric], bands: PopularityBands) -> dict[str, Any]:
    """Everything that changes while it runs.

    Args:
        families: of a Prometheus registry.
        bands: of the artifact that answers.

    Returns:
        ``requests`` (method, route, status, count), counters by their label, histograms by theirs (``count``, ``sum``, and
        ``buckets``: how many up to each of ``bounds`` and no less, the last above all), and ``exposure``.
    """
    samples: dict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
    for family in families:
        for sample in family.samples:
            samples[sample.name].append((sample.labels, sample.value))
    requests = [{**labels, "count": int(value)} for labels, value in samples["shortlist_http_requests_total"]]
    histograms = {ours: _histograms(samples, name, label) for ours, (name, label) in _HISTOGRAMS.items()}
    return {
        "requests": requests,
        **{ours: _by(samples, name, label) for ours, (name, label) in _COUNTERS.items()},
        "repeated_events": sum(int(value) for _, value in samples["shortlist_repeated_events_total"]),
        "store_errors": sum(int(value) for _, value in samples["shortlist_store_errors_total"]),
        **histograms,
        "exposure": _exposure(samples, bands),
    }


def _by(samples: Samples, name: str, label: str) -> dict[str, int]:
    return {labels[label]: int(value) for labels, value in samples.get(name, ())}


def _histograms(samples: Samples, name: str, label: str) -> dict[str, dict[str, Any]]:
    """By the value of the label; of a histogram without one under ``all``."""
    reached: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for labels, value in samples.get(f"{name}_bucket", ()):
        reached[labels.get(label, "all")].append((float(labels["le"]), value))
    sums = {labels.get(label, "all"): value for labels, value in samples.get(f"{name}_sum", ())}
    found = {}
    for one, buckets in reached.items():
        cumulative = np.array([value for _, value in sorted(buckets)])
        counts = np.diff(cumulative, prepend=0).astype(int).tolist()
        found[one] = {"count": int(cumulative[-1]), "sum": round(sums.get(one, 0.0), 6), "buckets": counts}
    return found


def _exposure(samples: Samples, bands: PopularityBands) -> dict[str, Any]:
    shown, taken = (
        np.array([_by(samples, f"shortlist_{what}_items_total", "band").get(band, 0) for band in BANDS])
        for what in ("shown", "taken")
    )
    drift = {
        name: round(stability_index(counts, bands.share), 4) if counts.sum() >= ENOUGH else None
        for name, counts in (("shown", shown), ("taken", taken))
    }
    return {
        "bands": list(BANDS),
        "items": bands.items.tolist(),
        "learned": bands.share.round(6).tolist(),
        "shown": shown.tolist(),
        "taken": taken.tolist(),
        "drift": drift,
        "enough": ENOUGH,
    }
