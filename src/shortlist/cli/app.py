"""All verbs. Heavy packages are imported by a verb when it runs, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from shortlist.cli import (
    compare,
    data,
    describe,
    evaluate,
    events,
    experiment,
    keys,
    precompute,
    recommend,
    rerank,
    serve,
    similar,
    tradeoff,
    train,
    tune,
)

app = typer.Typer(
    help="From a log of interactions to a live list of recommendations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("tune")(tune.tune)
app.command("evaluate")(evaluate.evaluate)
app.command("recommend")(recommend.recommend)
app.command("rerank")(rerank.rerank)
app.command("tradeoff")(tradeoff.tradeoff)
app.command("similar")(similar.similar)
app.command("precompute")(precompute.precompute)
app.command("describe")(describe.describe)
app.command("compare")(compare.compare)
app.command("serve")(serve.serve)
app.add_typer(events.app, name="events")
app.add_typer(experiment.app, name="experiment")
app.add_typer(keys.app, name="keys")
app.add_typer(data.app, name="data")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("shortlist"))
        raise typer.Exit


@app.callback()
def shortlist(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a log of interactions to a live list of recommendations."""
