"""``shortlist tradeoff``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.output import JsonFlag, RerankOption, load, out, print_json


def tradeoff(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact.")],
    step: Annotated[
        str,
        typer.Option(
            help="Which step is swept: freshness, diversity, calibration, exposure, popularity, boost, exploration, rules."
        ),
    ],
    strengths: Annotated[
        str | None, typer.Option(metavar="S,S,...", help="Strengths from 0 to 1; default: every tenth.")
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Choose the largest strength that loses at most this share of ndcg, such as 0.02."
        ),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="At most so many queries; more are sampled.")] = 10_000,
    rerank: RerankOption = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Put the curve into the artifact's report, where its page draws it.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Accuracy against diversity, coverage, exposure and freshness, by the strength of one re-ranking step."""
    if keep and rerank is not None:
        raise typer.BadParameter("a curve of other steps than the artifact's cannot be kept in it", param_hint="--keep")
    from shortlist.recommender.reshaping import keep_tradeoff
    from shortlist.recommender.tradeoff import STRENGTHS
    from shortlist.recommender.tradeoff import tradeoff as run

    curve = run(load(folder, rerank), step, _numbers(strengths) or STRENGTHS, max_loss, queries)
    if keep:
        keep_tradeoff(folder, curve)
    if json:
        print_json(curve.to_dict())
    else:
        out().print(curve.text())


def _numbers(text: str | None) -> list[float]:
    try:
        return [float(one) for one in (text or "").split(",") if one.strip()]
    except ValueError:
        raise typer.BadParameter(
            f"expected numbers such as 0,0.1,0.5, got {text!r}", param_hint="--strengths"
        ) from None
