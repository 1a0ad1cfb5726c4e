"""What a re-ranking step costs and buys, by its strength; and the strength for a wanted loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from rich.console import Group
from rich.text import Text

from shortlist.data.interactions import Interactions
from shortlist.data.splitting import Holdout, split
from shortlist.errors import SettingsError, did_you_mean
from shortlist.evaluation.report import plain
from shortlist.evaluation.stage_table import add_columns, cells, figure_table, shown_names
from shortlist.evaluation.statistics import compare, resampled_means
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.stage_evaluation import StagedHoldout, learned_from, padded, page_length
from shortlist.settings import RerankSettings
from shortlist.settings.reranking import AnyStep

STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MOST_QUERIES = 10_000
_SURE = 0.95  # that a strength loses no more than is wanted, under other people of the same kind
_HALVINGS = 4


@dataclass(frozen=True)
class Point:
    """One strength.

    Args:
        strength: of the step.
        figures: ndcg, recall, diversity, coverage, …, as means over the queries.
        loss: of ndcg, as a share of that at strength 0.
        loss_high: which it does not exceed with probability 0.95 (bootstrap over queries).
        microseconds: the step takes for one list.
    """

    strength: float
    figures: dict[str, float]
    loss: float
    loss_high: float
    microseconds: float


@dataclass(frozen=True)
class Tradeoff:
    """The curve of one step.

    Args:
        step: its name.
        k: places of the page.
        selected_on, confirmed_on: which queries.
        num_queries: the curve was measured on.
        points: by strength.
        max_loss: wanted; None: no strength was asked for.
        chosen: the largest strength found whose ``loss_high`` is no larger; None likewise.
        confirmed: on queries that had no part in the choice: figures without the step and with it, loss, and the paired
            difference in ndcg.
    """

    step: str
    k: int
    selected_on: str
    confirmed_on: str
    num_queries: int
    points: tuple[Point, ...]
    max_loss: float | None = None
    chosen: float | None = None
    confirmed: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {**self.__dict__, "points": [one.__dict__ for one in self.points]}
        return dict(plain(values))

    def text(self) -> Group:
        """For a terminal."""
        table = figure_table(f"{self.step} by strength, the first {self.k}")
        names = shown_names(self.points[0].figures)
        for heading in ("ndcg", "loss", "at most"):
            table.add_column(heading, justify="right", no_wrap=True)
        add_columns(table, names)
        table.add_column("µs a\nlist", justify="right")
        for one in self.points:
            mark = " ←" if one.strength == self.chosen else ""
            accuracy = (f"{one.figures['ndcg']:.4f}", f"{one.loss:.1%}", f"{one.loss_high:.1%}")
            table.add_row(f"{one.strength:.3g}{mark}", *accuracy, *cells(one.figures, names), f"{one.microseconds:.0f}")
        sure = f"The loss is at most so much with probability {_SURE:.2f}."
        table.caption = f"{self.num_queries:,} queries: {self.selected_on}. {sure}"
        lines = []
        if self.chosen is not None and self.confirmed is not None:
            change, loss = self.confirmed["difference"], self.confirmed["loss"]
            lines.append(
                f"strength {self.chosen:.3g} is the largest found that surely costs at most {self.max_loss:.1%} of ndcg. On "
                f"{self.confirmed_on} it loses {loss:.1%} ({change['difference']:+.4f}, 95 % interval [{change['low']:+.4f}, "
                f"{change['high']:+.4f}])."
            )
        return Group(table, *(Text(line) for line in lines))


def tradeoff(
    recommender: Recommender,
    step: str,
    strengths: Sequence[float] = STRENGTHS,
    max_loss: float | None = None,
    most_queries: int = MOST_QUERIES,
) -> Tradeoff:
    """Sweep the strength of one step, the other steps of ``[[rerank]]`` as they are set.

    The strength is chosen on the validation part, which the models were not fitted on, and confirmed on the test. Where they
    were fitted on validation too (``training.refit``), the test's queries are split: chosen on one half, confirmed
    on the other. A strength is chosen only where the loss is small enough with probability 0.95: few queries allow little.

    Args:
        recommender: any; the step need not be among its steps: it then comes last, with its defaults.
        step: its name; the first of that name is swept.
        strengths: on [0, 1]; 0 is always among them.
        max_loss: share of ndcg that may be lost; None: only the curve.
        most_queries: asked, of each part; more are sampled.

    Raises:
        SettingsError: there is no such step, it does not fit the data, or a strength is not on [0, 1].
    """
    strengths = sorted({0.0, *_checked(strengths)})
    steps, place = _with_step(recommender.settings.rerank, step)
    recommender = recommender.reranked(steps)
    k = page_length(recommender)
    (holdout, log, name), (further, further_log, other) = _parts(recommender, most_queries)
    sweep = _Sweep(StagedHoldout.of(recommender, holdout, log, k), place)
    points = [sweep.point(one) for one in strengths]
    if max_loss is None:
        return Tradeoff(step, k, name, other, len(holdout), tuple(points))
    low = max((one.strength for one in points if one.loss_high <= max_loss), default=0.0)
    above = [one.strength for one in points if one.strength > low]
    high = min(above, default=low)
    for _ in range(_HALVINGS if above else 0):
        points.append(sweep.point((low + high) / 2))
        low, high = (points[-1].strength, high) if points[-1].loss_high <= max_loss else (low, points[-1].strength)
    confirmed = _Sweep(StagedHoldout.of(recommender, further, further_log, k), place).confirmed(low)
    points.sort(key=lambda one: one.strength)
    return Tradeoff(step, k, name, other, len(holdout), tuple(points), max_loss, low, confirmed)


class _Sweep:
    """Measures one step at several strengths on the same candidates."""

    def __init__(self, staged: StagedHoldout, place: int) -> None:
        self.staged, self.place, self.pages = staged, place, staged.pages()
        self.without = self.pages.per_query(self.lists(0.0)[0], staged.k)["ndcg"]

    def lists(self, strength: float) -> tuple[NDArray[np.int32], float]:
        """[Q, k], and seconds the step took for all."""
        steps = list(self.staged.recommender.settings.rerank)
        steps[self.place] = steps[self.place].model_copy(update={"strength": strength})
        passages = self.staged.reshaped(steps)
        first = 1 if self.staged.recommender.funnel.ranker is None else 2
        seconds = sum(passage.stages[first + self.place].seconds for passage in passages)
        made = padded([one for passage in passages for one in passage.lists()], self.staged.k)
        return made, seconds

    def point(self, strength: float) -> Point:
        lists, seconds = self.lists(strength)
        figures = self.pages.means(lists, self.staged.k)
        lost = self.without - self.pages.per_query(lists, self.staged.k)["ndcg"]
        whole = max(float(self.without.mean()), 1e-12)
        high = float(np.quantile(resampled_means(lost[:, None])[:, 0], _SURE))
        return Point(strength, figures, float(lost.mean()) / whole, high / whole, seconds / max(len(lists), 1) * 1e6)

    def confirmed(self, strength: float) -> dict[str, Any]:
        k, (without, _), (with_step, _) = self.staged.k, self.lists(0.0), self.lists(strength)
        before, after = (self.pages.per_query(lists, k)["ndcg"] for lists in (without, with_step))
        return {
            "without": self.pages.means(without, k),
            "with": self.pages.means(with_step, k),
            "loss": float(1 - after.mean() / before.mean()) if before.mean() else 0.0,
            "difference": compare(after, before).to_dict(),
        }


def _parts(
    recommender: Recommender, most: int
) -> tuple[tuple[Holdout, Interactions, str], tuple[Holdout, Interactions, str]]:
    """What the strength is chosen on, and what it is confirmed on, each with what the models knew."""
    settings = recommender.settings
    parts = split(recommender.dataset, settings.split, settings.seed)
    log, seed = learned_from(parts, refit=settings.training.refit), settings.seed
    if not settings.training.refit and len(parts.valid):
        chosen_on = (parts.valid.sample(most, seed), log, "the validation part")
        return chosen_on, (parts.test.sample(most, seed), log, "the test")
    order = np.random.default_rng(seed).permutation(len(parts.test))
    halves = [parts.test.take(np.sort(one)) for one in np.array_split(order, 2)]
    one, other = (half.sample(most, seed) for half in halves)
    return (one, log, "one half of the test (validation was trained on)"), (other, log, "the other half of the test")


def _with_step(steps: Sequence[RerankSettings], step: str) -> tuple[tuple[RerankSettings, ...], int]:
    """The steps with the one that is swept among them, and its place."""
    for place, one in enumerate(steps):
        if one.step == step:
            return tuple(steps), place
    known = [str(one.model_fields["step"].default) for one in get_args(RerankSettings)]
    if step not in known:
        raise SettingsError(f"--step: there is no re-ranking step {step!r}; {did_you_mean(step, known)}.")
    try:
        added: RerankSettings = TypeAdapter(AnyStep).validate_python({"step": step})
    except ValidationError as error:
        raise SettingsError(
            f"--step: {step} has no defaults to be swept with ({error.errors()[0]['msg']}). Put it into [[rerank]] first: "
            "`shortlist rerank DIR CONFIG.toml`."
        ) from None
    return (*steps, added), len(steps)


def _checked(strengths: Sequence[float]) -> Sequence[float]:
    for one in strengths:
        if not 0 <= one <= 1:
            raise SettingsError(f"--strengths: expected numbers from 0 to 1, got {one:g}.")
    return strengths
