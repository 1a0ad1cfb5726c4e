"""What goes in and out over HTTP."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from shortlist.recommender import Query
from shortlist.recommender.attribution import PartKind
from shortlist.recommender.shaping import MAX_STEPS, steps_from
from shortlist.settings.reranking import AnyStep

_QUERY_FIELDS = {one.name for one in fields(Query)}
MAX_IDS = 10_000
MAX_K = 1_000

Id = Annotated[StrictInt | StrictStr, Field(description="an id as in the interactions; a number may come as text")]
Ids = Annotated[list[Id], Field(max_length=MAX_IDS)]
K = Annotated[StrictInt, Field(ge=1, le=MAX_K, description="items wanted")]
Explain = Annotated[
    Literal["none", "reasons", "full"],
    Field(description="none; the strongest reasons; full: every part of every score, and what each stage did"),
]


def _steps(values: Any) -> Any:
    """By the settings' own code, whose messages name the setting; not a ValueError, so that they come out as they are."""
    return None if values is None else steps_from(values)


Steps = Annotated[
    Annotated[tuple[AnyStep, ...], Field(max_length=MAX_STEPS)] | None,
    BeforeValidator(_steps),
    Field(
        description="re-ranking for this answer in place of the artifact's, as [[rerank]] in the settings; []: none; null: the "
        "artifact's"
    ),
]


class QueryRequest(BaseModel):
    """Who asks: a known user, a history, or both."""

    model_config = ConfigDict(extra="forbid")

    user_id: Id | None = None
    history: Ids = []
    disliked: Ids = []
    features: dict[str, Any] = {}
    k: K = 10
    exclude: Ids = []
    where: Annotated[str, Field(max_length=2_000)] | None = None
    allow: Annotated[Ids | None, Field(description="items of which alone any may come back; null: all")] = None
    seen: Annotated[Literal["remove", "keep"], Field(description="whether what the user has may come back")] = "remove"
    time: (
        Annotated[
            StrictInt | StrictFloat | StrictStr,
            Field(description="when it is asked: ISO 8601, seconds or milliseconds"),
        ]
        | None
    ) = None
    expose: Annotated[bool, Field(description="false: the person will not see the list; no exposure is kept")] = True
    rerank: Steps = None

    def query(self) -> Query:
        """What is asked, however it is to be answered."""
        return Query(**{name: getattr(self, name) for name in _QUERY_FIELDS & set(type(self).model_fields)})


class ExperimentModel(BaseModel):
    """By which arm of which experiment it was answered, and the id of the exposure where one is kept."""

    name: str
    arm: str
    request_id: str | None = None


class RecommendationRequest(QueryRequest):
    """Who asks, and whether to say why."""

    explain: Explain = "reasons"


class ReasonModel(BaseModel):
    """One part of a score: a liked item, or what ``kind`` says."""

    item_id: Id | None = None
    title: str | None = None
    feature: str | None = None
    kind: PartKind
    count: Annotated[int | None, Field(description="items, where it stands for several")] = None
    contribution: Annotated[float, Field(description="what it adds to the score")]
    share: Annotated[float, Field(ge=-1, le=1, description="of the sizes of all contributions, which add up to 1")]


class AttributionModel(BaseModel):
    """What one model's score is the sum of: the baseline and all contributions."""

    stage: str
    model: str
    score: float
    baseline: Annotated[float, Field(description="the score for somebody of whom nothing is known")]
    parts: list[ReasonModel]


class MoveModel(BaseModel):
    """What one stage did with an item."""

    stage: str
    place: Annotated[int, Field(description="after it, from 1; 0: not there yet")]
    lifted: Annotated[int | None, Field(description="places; below 0: lowered; null: brought in")]
    score: float | None


class ItemModel(BaseModel):
    """One item; further columns of the item table stand beside these."""

    model_config = ConfigDict(extra="allow")

    item_id: Id
    title: str | None = None


class RecommendedItem(ItemModel):
    """One item of a list."""

    score: float
    rank: int
    reasons: list[ReasonModel]
    places: Annotated[dict[str, int], Field(description="place after each stage, where there are more than one")] = {}
    attributions: Annotated[list[AttributionModel], Field(description="with explain=full, one a model")] = []
    moves: Annotated[list[MoveModel], Field(description="with explain=full, one a stage")] = []


class RecommendationResponse(BaseModel):
    """The list, best first, and what each stage did."""

    user_id: Id | None
    items: list[RecommendedItem]
    stages: dict[str, dict[str, Any]]
    experiment: Annotated[ExperimentModel | None, Field(description="where one runs, and the user is in an arm")] = None


class SimilarResponse(BaseModel):
    """An item and its neighbours."""

    item: ItemModel
    items: list[RecommendedItem]


class ItemsResponse(BaseModel):
    """Items found."""

    items: list[ItemModel]


class UserSummary(BaseModel):
    """A known user."""

    user_id: Id
    history_length: int


class UsersResponse(BaseModel):
    """Users found."""

    users: list[UserSummary]


class HistoryEntry(ItemModel):
    """Something a user did: learned from when the artifact was made, or (with its ``event``) while serving."""

    liked: bool
    disliked: bool
    timestamp: float | None = None
    value: float | None = None
    event: str | None = None


class UserResponse(BaseModel):
    """A user's features, and history with events, oldest first."""

    user_id: Id
    features: dict[str, Any]
    history: list[HistoryEntry]
    num_events: int


class EventModel(BaseModel):
    """Something a user did with an item."""

    model_config = ConfigDict(extra="forbid")

    user_id: Annotated[Id, Field(description="of any user, also one who was never seen")]
    item_id: Annotated[Id, Field(description="of any item; one that is not known is kept for when it is")]
    event: Annotated[str, Field(min_length=1, max_length=64, description="view, like, dislike, hide, ...: any word")]
    timestamp: Annotated[
        int | float | str | None, Field(description="when: ISO 8601, seconds or milliseconds; default: now")
    ] = None
    value: Annotated[float | None, Field(description="a rating, seconds watched, ...")] = None
    event_id: Annotated[
        Id | None, Field(description="an event that comes again under the same one counts once; default: one is made")
    ] = None


class EventsResponse(BaseModel):
    """What was done with the events: all of them are durable."""

    accepted: Annotated[int, Field(description="events that are kept, with those that were there already")]
    repeated: Annotated[int, Field(description="of these, how many were there already, or came twice")]
    event_ids: Annotated[list[str], Field(description="in the order of the events")]
    unknown_items: Annotated[list[str], Field(description="items that are not known; they change no list yet")]


class DeletedResponse(BaseModel):
    """A user who was forgotten."""

    user_id: Id
    deleted_events: int


class ReloadResponse(BaseModel):
    """The artifact that answers now."""

    model: str
    items: int
    data_fingerprint: str
    workers: Annotated[dict[str, int], Field(description="how many switched, and how many failed and keep the old one")]
