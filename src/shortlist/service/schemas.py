"""What goes in and out over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MAX_IDS = 10_000
MAX_K = 1_000

Id = Annotated[int | str, Field(description="an id as in the interactions; a number may come as text")]
Ids = Annotated[list[Id], Field(max_length=MAX_IDS)]
K = Annotated[int, Field(ge=1, le=MAX_K, description="items wanted")]


class RecommendationRequest(BaseModel):
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
    time: (
        Annotated[int | float | str, Field(description="when it is asked: ISO 8601, seconds or milliseconds")] | None
    ) = None


class ReasonModel(BaseModel):
    """A liked item that carried a recommendation."""

    item_id: Id
    title: str | None = None
    contribution: float


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


class RecommendationResponse(BaseModel):
    """The list, best first, and what each stage did."""

    user_id: Id | None
    items: list[RecommendedItem]
    stages: dict[str, dict[str, Any]]


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


class UserResponse(BaseModel):
    """A known user's features and history, oldest first."""

    user_id: Id
    features: dict[str, Any]
    history: list[dict[str, Any]]
