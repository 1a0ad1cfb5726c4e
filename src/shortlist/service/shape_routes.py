"""Shaping a list over HTTP: which steps there are, and one list before and after them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from threading import Lock
from typing import Annotated, Any
from weakref import WeakKeyDictionary

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from shortlist.data.moments import milliseconds
from shortlist.recommender import Answer, Query, Recommender
from shortlist.recommender.list_figures import DEFINITIONS, ListFigures
from shortlist.recommender.step_menu import step_menu
from shortlist.service import schemas
from shortlist.service.answers import ERRORS, reply
from shortlist.service.generation import Generation
from shortlist.service.serving import Serving
from shortlist.settings import FreshnessSettings, RerankSettings


class StepModel(BaseModel):
    """One kind of step."""

    step: str
    about: str
    strength: Annotated[float, Field(description="by default")]
    settings: Annotated[list[dict[str, Any]], Field(description="name, kind, default, options, description")]
    unavailable: Annotated[str | None, Field(description="why the data do not allow it by its defaults")]


class ShapeResponse(BaseModel):
    """What a list can be shaped with."""

    steps: list[StepModel]
    rerank: Annotated[list[dict[str, Any]], Field(description="the artifact's own steps, in order")]
    figures: Annotated[dict[str, str], Field(description="what the figures of a list mean")]
    tradeoffs: Annotated[dict[str, Any], Field(description="measured curves, by step: `shortlist tradeoff --keep`")]


class ShapedList(BaseModel):
    """One list and what it is like."""

    items: list[schemas.RecommendedItem]
    figures: dict[str, float]


class ShapedResponse(BaseModel):
    """The list as the models leave it, and as the steps do."""

    before: ShapedList
    after: ShapedList
    stages: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Prepared:
    menu: list[dict[str, Any]]
    figures: ListFigures


def router(serving: Serving) -> APIRouter:
    """The routes; what they count of the items is counted when it is first asked for, and kept."""
    routes = APIRouter(tags=["shape"])
    prepared: WeakKeyDictionary[Recommender, _Prepared] = WeakKeyDictionary()
    lock = Lock()

    def of(recommender: Recommender) -> _Prepared:
        with lock:
            if recommender not in prepared:
                prepared[recommender] = _Prepared(step_menu(recommender), ListFigures(recommender))
            return prepared[recommender]

    @routes.get("/v1/shape", response_model=ShapeResponse)
    def show_steps() -> Response:
        """The steps that re-rank, those of the artifact, and the measured curves of what they cost and buy."""
        recommender = serving.now.recommender
        own = [step.model_dump(mode="json") for step in recommender.settings.rerank]
        curves = {} if recommender.report is None else dict(recommender.report.tradeoffs)
        found = {"steps": of(recommender).menu, "rerank": own, "figures": dict(DEFINITIONS), "tradeoffs": curves}
        return reply(found)

    @routes.post("/v1/shape", response_model=ShapedResponse, responses=ERRORS)
    def shape(request: schemas.RecommendationRequest) -> Response:
        """One list without any step, and with those of `rerank` (null: the artifact's): places, and figures of both."""
        now = serving.now
        steps = now.recommender.settings.rerank if request.rerank is None else request.rerank
        query = request.query()
        query = replace(query, time=time.time() * 1000 if query.time is None else query.time)
        before, after = (now.live.recommend(query, explain=False, rerank=one) for one in ((), tuple(steps)))
        measure = _Measure(now, of(now.recommender).figures, query, steps)
        lists = {
            name: {"items": [item.to_dict() for item in one.items], "figures": measure(one)}
            for name, one in (("before", before), ("after", after))
        }
        return reply({**lists, "stages": {name: dict(stage) for name, stage in after.stages.items()}})

    return routes


class _Measure:
    """Measures answers to one query."""

    def __init__(self, now: Generation, figures: ListFigures, query: Query, steps: tuple[RerankSettings, ...]) -> None:
        asked = now.recommender.asking.read([now.live.with_events(query)])
        self.items, self.figures = now.recommender.dataset.items, figures
        self.history = asked.batch.liked.row(0)
        assert query.time is not None
        self.time = milliseconds(query.time)
        fresh = [one for one in (*steps, *now.recommender.settings.rerank) if isinstance(one, FreshnessSettings)]
        self.date = fresh[0].date if fresh else None

    def __call__(self, answer: Answer) -> dict[str, float]:
        rows = self.items.rows([item.item_id for item in answer.items])
        scores = np.array([item.score for item in answer.items])
        known = rows >= 0
        found = self.figures.of(rows[known], scores[known], self.history, self.time, self.date)
        return {name: round(value, 6) for name, value in found.items()}
