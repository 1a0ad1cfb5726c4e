"""``shortlist precompute``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from shortlist.cli.output import JsonFlag, err, out, print_json
from shortlist.cli.values import ids, pair


def precompute(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact.")],
    file: Annotated[Path, typer.Option("--out", metavar="FILE.parquet", help="File to write.")],
    k: Annotated[int, typer.Option("-k", help="Items wanted for each user, or item.")] = 100,
    exclude: Annotated[str | None, typer.Option(metavar="ID,ID,...", help="Items never to return.")] = None,
    allow: Annotated[
        str | None, typer.Option(metavar="ID,ID,...", help="Items of which alone any may be returned.")
    ] = None,
    where: Annotated[str | None, typer.Option(help="Condition on the items, such as 'genres has \"Comedy\"'.")] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A value of the moment, the same for all; repeatable."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it is asked: ISO 8601, seconds or milliseconds; default: now."),
    ] = None,
    items: Annotated[
        bool, typer.Option("--items", help="In place of users' lists the items most similar to each item.")
    ] = False,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Where vectors are searched; cuda needs PyTorch, auto takes it where there is a GPU."),
    ] = "cpu",
    json: JsonFlag = False,
) -> None:
    """Write the best items of every known user to a Parquet file; the same command after a kill goes on."""
    features = dict(pair(one) for one in feature or ())
    from shortlist.recommender import Query
    from shortlist.recommender.precompute import precompute as run

    query = Query(
        k=k,
        exclude=ids(exclude),
        allow=None if allow is None else ids(allow),
        where=where,
        features=features,
        time=time,
    )
    written = run(folder, file, query, err(), of="items" if items else "users", device=device)
    if json:
        print_json(written.to_dict())
    else:
        where_searched = "" if device == "cpu" else f", searched on {written.device}"
        out().print(
            f"{written.file}: {written.rows:,} rows for {written.lists:,} {written.of}, up to {written.k} items each, in "
            f"{written.seconds:.1f} s{where_searched}",
            soft_wrap=True,
        )
