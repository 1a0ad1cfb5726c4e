"""``[index] kind = "ann"``: the index of a trained retriever, tuned on the queries of the validation part."""

from __future__ import annotations

from shortlist.data.splitting import Split
from shortlist.evaluation.candidates import candidates_of
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.retrieval.clusters import require_faiss
from shortlist.retrieval.tuning import Tuned, tune
from shortlist.settings import Settings


def tuned_index(retriever: ServedRetriever, parts: Split, settings: Settings) -> Tuned:
    """What ``[index]`` asks for; nothing for ``exact``. Targets play no part: recall is that of exact search.

    Raises:
        ArtifactError: Faiss is not installed.
    """
    asked = settings.index
    if asked.kind == "exact":
        return Tuned(None)
    return tune(
        retriever.encode_items(),
        retriever.encode_queries(parts.valid.queries),
        candidates_of(parts.valid),
        recall=asked.recall,
        k=asked.k,
        only_if_faster=asked.only_if_faster,
        seed=settings.seed,
    )


def require_index_package(settings: Settings) -> None:
    """Say what is missing before anything is trained.

    Raises:
        ArtifactError: Faiss is not installed, and ``[index]`` asks for it.
    """
    if settings.index.kind == "ann":
        require_faiss()
