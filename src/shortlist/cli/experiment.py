"""``shortlist experiment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from shortlist.cli.events import Store
from shortlist.cli.output import JsonFlag, RerankOption, load, out, print_json

if TYPE_CHECKING:
    from shortlist.evaluation.statistics import Figure
    from shortlist.experiments.estimation import Counterfactual
    from shortlist.experiments.report import ExperimentReport

app = typer.Typer(help="What the arms of an experiment did.", no_args_is_help=True)

Name = Annotated[str | None, typer.Option("--name", help="Of the experiment; default: the only one in the store.")]
Window = Annotated[str, typer.Option(metavar="AGE", help="An event counts so long after an answer: 30m, 24h, 7d.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Only answers from then on.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only answers before.")]


@app.command("report")
def report(
    events: Store,
    name: Name = None,
    window: Window = "24h",
    artifact: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Artifact whose [events] say what is a like; default: the default words."),
    ] = None,
    since: Since = None,
    until: Until = None,
    json: JsonFlag = False,
) -> None:
    """Each arm's answers, users and rates with intervals, their difference to the control, and whether users were dealt right."""
    from shortlist.events import EventStore
    from shortlist.experiments.outcomes import outcomes
    from shortlist.experiments.report import report as run
    from shortlist.recommender.artifact import read_manifest
    from shortlist.recommender.meanings import Meanings
    from shortlist.settings import Settings

    settings = Settings() if artifact is None else Settings.from_dict(read_manifest(artifact)["settings"])
    with EventStore(events, create=False) as store:
        span, times = _milliseconds(window), (_moment(since, "since"), _moment(until, "until"))
        found = run(outcomes(store, Meanings(settings), name, span, *times), span)
    if json:
        print_json(found.to_dict())
    else:
        _show_report(found)


@app.command("estimate")
def estimate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Artifact that might have answered.")],
    events: Store,
    name: Name = None,
    arm: Annotated[str | None, typer.Option(help="Whose answers; default: of all arms that draw.")] = None,
    reward: Annotated[
        Literal["clicks", "likes", "responses"], typer.Option(help="What an answer earns; responses: either.")
    ] = "responses",
    window: Window = "24h",
    since: Since = None,
    until: Until = None,
    rerank: RerankOption = None,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="Weigh a place by all places so far, not by its own alone.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """What an artifact (or other re-ranking) would have earned, from answers that were drawn with known probabilities."""
    from shortlist.events import EventStore
    from shortlist.experiments.estimation import counterfactual
    from shortlist.experiments.outcomes import outcomes
    from shortlist.recommender.live import LiveRecommender

    recommender = load(folder, rerank)
    with EventStore(events, create=False) as store:
        live = LiveRecommender(recommender, store)
        times = (_moment(since, "since"), _moment(until, "until"))
        found = outcomes(store, live.meanings, name, _milliseconds(window), *times)
        done = counterfactual(found, live, reward, arm, sequential=sequential)
    if json:
        print_json(done.to_dict())
    else:
        _show_estimate(done)


def _milliseconds(window: str) -> int:
    from shortlist.settings.reranking import days

    try:
        return int(days(window) * 86_400_000)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--window") from None


def _moment(time: str | None, name: str) -> int | None:
    from shortlist.data.moments import milliseconds

    return None if time is None else int(milliseconds(time, name))


def _show_report(found: ExperimentReport) -> None:
    title = f"{found.experiment}: what came of each answer within {found.window_hours:g} h"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("arm", "", "per answer", "difference", "detects"):
        table.add_column(column, justify="left" if column in ("arm", "") else "right")
    for name, arm in found.arms.items():
        heading = (name, f"{arm.answers:,} answers", f"{arm.users:,} users")
        for place, reward in enumerate(arm.totals):
            row = [heading[place], f"{arm.totals[reward]:,} {reward}", _shown(arm.per_answer[reward])]
            against = arm.against_control.get(reward)
            if against is not None:
                row.append(f"{against.difference:+.3f} [{against.low:.3f}, {against.high:.3f}]")
                row.append(f"{against.minimum_detectable:.3f}")
            table.add_row(*row)
        table.add_row()
    out().print(table)
    out().print(
        f"Differences are to {found.control}; intervals are over users, 95 %; detects: the smallest true difference that so many "
        "users would show four times in five.",
        style="dim",
    )
    for warning in found.warnings:
        out().print(warning, style="yellow")


def _show_estimate(done: Counterfactual) -> None:
    found = done.estimate
    table = Table(title=f"{done.reward} an answer, by {done.experiment}: {', '.join(done.arms)}", title_justify="left")
    table.add_column("")
    table.add_column("value [95 % interval over users]", justify="right")
    table.add_row("as it was", _shown(found.logged))
    for name, figure in (("IPS", found.ips), ("SNIPS", found.snips), ("doubly robust", found.dr)):
        if figure is not None:
            table.add_row(name, _shown(figure))
    out().print(table)
    out().print(
        f"{found.answers:,} answers to {found.users:,} users, {found.effective_answers:,.0f} effective; weights "
        f"{done.weights}: mean {found.mean_weight.value:.3f}, largest {found.max_weight:.1f}"
    )
    for why, count in done.left_out.items():
        out().print(f"left out {count:,} answers: {why}", style="dim")
    for warning in found.warnings:
        out().print(warning, style="yellow")


def _shown(figure: Figure) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
