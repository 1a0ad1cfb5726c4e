"""Uvicorn's protocol, on connections that send at once."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

Protocol: Any = AutoHTTPProtocol


class Prompt(Protocol):  # type: ignore[misc]
    """Without Nagle's algorithm, which keeps an answer's second half back until the first has been acknowledged.

    asyncio switches it off itself, but not on connections to a socket that several workers share: there every answer
    took 40 milliseconds more, as long as the other side waits with an acknowledgement.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
