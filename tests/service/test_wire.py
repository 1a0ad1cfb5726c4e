"""Answers leave at once."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from shortlist.service import wire


@pytest.mark.parametrize("protocol", [0, socket.IPPROTO_TCP])  # 0: the socket that uvicorn's workers share
def test_no_answer_waits_for_an_acknowledgement(protocol: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(wire.Protocol, "connection_made", lambda *_: None)
    with socket.socket(proto=protocol) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:

            class Transport:
                def get_extra_info(self, name: str) -> Any:
                    return accepted if name == "socket" else None

            wire.Prompt.connection_made(object.__new__(wire.Prompt), Transport())  # type: ignore[arg-type]
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_service_uses_it(monkeypatch: Any) -> None:
    from shortlist.service import server

    asked: dict[str, Any] = {}
    monkeypatch.setattr(server.uvicorn, "run", lambda *_, **options: asked.update(options))
    monkeypatch.setattr(server.Service, "app", lambda _: None)
    server.run(server.Service("nowhere", None), "127.0.0.1", 8000)
    assert asked["http"] == f"{wire.__name__}:{wire.Prompt.__name__}"
