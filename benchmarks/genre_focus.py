"""How well ten recommendations keep to the genre of five likes by someone new, against the popularity bias left out.

    python -m benchmarks.genre_focus artifacts/demo

Forty draws a genre of five films with 30 ratings or more: the genre's share of the ten recommended, and in how many draws
it is the majority; beside test ndcg@10. A share of the bias is taken out of the artifact as it is, without new training.
"""

from __future__ import annotations

import sys

import numpy as np

from shortlist import Query, Recommender, load
from shortlist.data.splitting import split
from shortlist.evaluation.evaluator import evaluate

GENRES = {"Children": {"Children", "Animation"}, "Horror": {"Horror"}}


def main() -> None:
    recommender = load(sys.argv[1] if len(sys.argv) > 1 else "artifacts/demo")
    test = split(recommender.dataset, recommender.settings.split, recommender.settings.seed).test
    trained = np.array(recommender.index.item_vectors)
    for left_out in (0.0, 0.2, 0.4, 0.6):
        vectors = trained.copy()
        vectors[:, -1] *= 1 - left_out
        recommender.index.item_vectors = recommender.retriever.item_vectors = vectors
        shares = [f"{genre} {share:.2f} (majority {most:.2f})" for genre, share, most in focus(recommender)]
        ndcg = evaluate(recommender.retriever, test, (10,)).mean("ndcg", 10)
        print(f"bias left out {left_out:.1f}: {', '.join(shares)}, test ndcg@10 {ndcg:.4f}")


def focus(recommender: Recommender) -> list[tuple[str, float, float]]:
    """(genre, its mean share, share of draws in which it is the majority)."""
    dataset = recommender.dataset
    genres = [set(tags or ()) for tags in dataset.display["genres"].to_pylist()]
    counts = np.bincount(dataset.interactions.item_idx, minlength=dataset.num_items)
    found = []
    for name, accepted in GENRES.items():
        rng = np.random.default_rng(0)
        films = [i for i in range(dataset.num_items) if name in genres[i] and counts[i] >= 30]
        draws = [dataset.items.ids_of(rng.choice(films, 5, replace=False)) for _ in range(40)]
        answers = recommender.recommend_many([Query(history=draw) for draw in draws])
        shares = [np.mean([bool(accepted & set(i.display.get("genres", ()))) for i in a.items]) for a in answers]
        found.append((name, float(np.mean(shares)), float(np.mean(np.array(shares) > 0.5))))
    return found


if __name__ == "__main__":
    main()
