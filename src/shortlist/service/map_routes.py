"""The map over HTTP: a short description, the points as bytes, who stands at a point, and where a query lands."""

from __future__ import annotations

import base64
import hashlib
from threading import Lock
from typing import Annotated, Any
from weakref import WeakKeyDictionary

import numpy as np
from fastapi import APIRouter, Request
from fastapi import Query as QueryParameter
from fastapi.responses import Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from shortlist.errors import QueryError
from shortlist.recommender import Recommender
from shortlist.recommender.item_map import ItemMap, Plane, land_query, map_items
from shortlist.service import schemas
from shortlist.service.answers import ERRORS, reply
from shortlist.service.serving import Serving

MAX_PLACES = 200
LAYOUT = (
    "little-endian, one array after the other: num_items × (x, y) float32, num_items uint32 popularity, "
    "num_items uint16 tags (bit i: the item has the legend's value i); an item's place is its index in these arrays"
)
_HISTORY = 60  # most recent liked items that are shown with a query
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"description": LAYOUT, "content": {"application/octet-stream": {}}},
    304: {"description": "The points are those of If-None-Match."},
}

Places = Annotated[str, QueryParameter(max_length=4_000, description=f"at most {MAX_PLACES}, separated by commas")]
MapIds = Annotated[
    list[str], QueryParameter(default_factory=list, max_length=MAX_PLACES, description="of an item; may be given again")
]


class LegendEntry(BaseModel):
    """A value of the feature that colours the map."""

    value: str
    count: int


class MapResponse(BaseModel):
    """What the map shows; the points themselves are at ``points``."""

    num_items: int
    feature: str | None
    legend: list[LegendEntry]
    shares: Annotated[list[float], Field(description="of the vectors' variance that each axis shows")]
    points: str
    layout: str


class MapItem(schemas.ItemModel):
    """An item and where it is."""

    place: int
    x: float
    y: float
    popularity: int


class MapItemsResponse(BaseModel):
    """Items on the map."""

    items: list[MapItem]


class MapQueryRequest(schemas.QueryRequest):
    """Who asks, as for recommendations."""

    fit: Annotated[bool, Field(description="whether to say how every item fits")] = False


class MapQueryResponse(BaseModel):
    """Where a query lands (its vector's direction), the items it is recommended, and the liked items it starts from."""

    x: float
    y: float
    items: list[MapItem]
    history: list[MapItem]
    fit: Annotated[
        str | None,
        Field(
            description="base64 of num_items uint8: 255 for the item of the highest score, 128 in the middle, 0 the last"
        ),
    ]


class _Drawn:
    """A recommender's map with its bytes."""

    def __init__(self, recommender: Recommender, plane: Plane | None = None) -> None:
        self.map: ItemMap = map_items(recommender, plane)
        self.points = self.map.to_bytes()
        self.tag = f'"{hashlib.sha256(self.points).hexdigest()[:32]}"'


def router(serving: Serving) -> APIRouter:
    """Routes of the map of the recommender that answers now; a map is drawn when it is first asked for, and kept."""
    routes = APIRouter(tags=["map"])
    maps: WeakKeyDictionary[Recommender, _Drawn] = WeakKeyDictionary()
    lock = Lock()

    def drawn(recommender: Recommender) -> _Drawn:
        artifact = recommender.artifact
        with lock:
            if artifact not in maps:
                maps[artifact] = _Drawn(artifact)
            if recommender not in maps:  # where items changed the others stay in their places
                maps[recommender] = _Drawn(recommender, maps[artifact].map.plane)
            return maps[recommender]

    @routes.get("/v1/map", response_model=MapResponse)
    def show_map() -> Response:
        """All items in two dimensions: the principal components of their vectors' directions."""
        shown = drawn(serving.now.recommender).map
        legend = [{"value": value, "count": count} for value, count in shown.legend]
        document = {"num_items": len(shown), "feature": shown.feature, "legend": legend, "shares": shown.plane.shares}
        return reply({**document, "points": "/v1/map/points", "layout": LAYOUT})

    @routes.get("/v1/map/points", response_class=Response, responses=_BYTES)
    def show_points(request: Request) -> Response:
        """Where all items are, ready-made for typed arrays: 14 bytes an item."""
        ready = drawn(serving.now.recommender)
        headers = {"ETag": ready.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == ready.tag:
            return Response(status_code=304, headers=headers)
        return Response(ready.points, media_type="application/octet-stream", headers=headers)

    @routes.get("/v1/map/items", response_model=MapItemsResponse, responses=ERRORS)
    def show_items(id: MapIds, places: Places = "") -> Response:
        """The items at some places of the arrays, or those of some ids, with where they are."""
        recommender = serving.now.recommender
        rows = np.concatenate([_rows(places, recommender.dataset.num_items), recommender.admission.rows(id, "id")])
        if len(rows) > MAX_PLACES:
            raise QueryError(
                f"At most {MAX_PLACES} items can be asked for at once, got {len(rows)}. Ask several times."
            )
        return reply({"items": _items(recommender, drawn(recommender).map, rows)})

    @routes.post("/v1/map/query", response_model=MapQueryResponse, responses=ERRORS)
    def show_query(request: MapQueryRequest) -> Response:
        """Where a known user or a history lands, with what is recommended to it."""
        now = serving.now
        recommender = now.recommender
        shown = drawn(recommender).map
        query = now.live.with_events(request.query())
        answering = recommender if request.rerank is None else now.live.reranked(request.rerank)
        found = answering.search([query])[0].item_idx
        landing = land_query(recommender, shown.plane, query)
        liked = recommender.asking.read([query]).batch.liked.row(0)[-_HISTORY:]
        parts = {name: _items(recommender, shown, rows) for name, rows in (("items", found), ("history", liked))}
        fit = base64.b64encode(landing.fit.tobytes()).decode() if request.fit else None
        return reply({"x": landing.x, "y": landing.y, **parts, "fit": fit})

    return routes


def _rows(places: str, number: int) -> NDArray[np.int64]:
    """Places in text as row numbers."""
    given = [one for one in places.split(",") if one]
    wrong = [one for one in given if not (one.isascii() and one.isdigit() and len(one) <= 12 and int(one) < number)]
    if wrong:
        raise QueryError(
            f"places: expected whole numbers from 0 to {number - 1} separated by commas, got {', '.join(wrong[:5])!r}."
        )
    return np.array(given, dtype=np.int64) if given else np.empty(0, dtype=np.int64)


def _items(recommender: Recommender, shown: ItemMap, rows: NDArray[Any]) -> list[dict[str, Any]]:
    ids, display = recommender.dataset.items.ids_of(rows), recommender.display(rows)
    return [
        {
            **display[n],
            "item_id": ids[n],
            "place": row,
            "x": float(shown.places[row, 0]),
            "y": float(shown.places[row, 1]),
            "popularity": int(shown.popularity[row]),
        }
        for n, row in enumerate(np.asarray(rows).tolist())
    ]
