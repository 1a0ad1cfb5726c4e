"""A road past validation, threads and the model, for questions that were answered before and whose answer still holds."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from shortlist.recommender import Answer, Query
from shortlist.service.serving import Explain, Serving

_LONGEST, _MOST = 500, 20_000  # bytes of an address, addresses

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Address = tuple[str, bytes]


class QuickRoad:
    """What addresses mean that were asked before, so that asked again they need not be read.

    An answer given again costs less than it takes to validate parameters and to hand the work to a thread; so the event
    loop gives it. It takes this road only where nothing has to be waited for (``LiveRecommender.again``).

    Args:
        serving: what answers.
    """

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._meanings: dict[Address, tuple[Query, Explain]] = {}

    def __len__(self) -> int:
        return len(self._meanings)

    def learn(self, request: Request, query: Query, explain: Explain) -> None:
        """An address was read, and this is its meaning."""
        address = _address(request)
        if len(address[0]) + len(address[1]) > _LONGEST:
            return
        if len(self._meanings) >= _MOST:
            self._meanings.clear()  # cheaper than an order of use, and learned anew at the next question
        self._meanings[address] = query, explain

    def answer(self, request: Request) -> Answer | None:
        """The answer given before; None: take the usual road."""
        meaning = self._meanings.get(_address(request))
        return None if meaning is None else self.serving.again(meaning[0], explain=meaning[1])

    def route(self) -> type[APIRoute]:
        """The class of routes that look here first."""
        road = self

        class QuickRoute(APIRoute):
            def get_route_handler(self) -> Handler:
                usual = super().get_route_handler()
                if self.methods != {"GET"}:
                    return usual  # a body is no address

                async def handler(request: Request) -> Response:
                    found = road.answer(request)
                    return await usual(request) if found is None else sent(found)

                return handler

        return QuickRoute


def sent(answer: Answer) -> Response:
    """An answer as it goes out."""
    return Response(answer.json, media_type="application/json")


def _address(request: Request) -> Address:
    return request.scope["path"], request.scope["query_string"]
