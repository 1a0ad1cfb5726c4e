"""``shortlist recommend``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.explained import explanation
from shortlist.cli.output import JsonFlag, RerankOption, item_table, load, out, print_json
from shortlist.cli.values import ids, pair


def recommend(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact.")],
    user: Annotated[str | None, typer.Option(help="A known user's id.")] = None,
    history: Annotated[str | None, typer.Option(metavar="ID,ID,...", help="Liked items, most recent last.")] = None,
    disliked: Annotated[str | None, typer.Option(metavar="ID,ID,...", help="Disliked items.")] = None,
    k: Annotated[int, typer.Option("-k", help="Items wanted.")] = 10,
    exclude: Annotated[str | None, typer.Option(metavar="ID,ID,...", help="Items never to return.")] = None,
    allow: Annotated[
        str | None, typer.Option(metavar="ID,ID,...", help="Items of which alone any may be returned.")
    ] = None,
    where: Annotated[str | None, typer.Option(help="Condition on the items, such as 'genres has \"Comedy\"'.")] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A value of the user or the moment; repeatable."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it is asked: ISO 8601, seconds or milliseconds; default: now."),
    ] = None,
    rerank: RerankOption = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Take every score apart, and say what each stage did.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Recommend to a known user, or to anyone by a history. --json explains in full."""
    if user is None and history is None:
        raise typer.BadParameter("give --user ID, --history ID,ID,... or both", param_hint="--user / --history")
    features = dict(pair(one) for one in feature or ())
    from shortlist.recommender import Query

    query = Query(
        user_id=user,
        history=ids(history),
        disliked=ids(disliked),
        features=features,
        k=k,
        exclude=ids(exclude),
        allow=None if allow is None else ids(allow),
        where=where,
        time=time,
    )
    answer = load(folder, rerank).recommend(query, explain="full" if json or explain else True)
    if json:
        print_json(answer.to_dict())
        return
    out().print(item_table(answer.items, f"for user {user}" if user is not None else "for this history"))
    if explain:
        for item in answer.items:
            out().print(explanation(item))
