"""Running the application."""

from __future__ import annotations

import socket

import uvicorn

from shortlist.errors import ShortlistError
from shortlist.recommender import Recommender
from shortlist.service.app import create_app


def check_port(host: str, port: int) -> None:
    """Find out before anything is loaded whether the port can be had.

    Raises:
        ShortlistError: it is in use, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ShortlistError(
                f"Cannot listen on {host}:{port}: {error.strerror}. Another program may use it; choose another with --port."
            ) from None


def run(recommender: Recommender, host: str, port: int) -> None:
    """Serve until Ctrl-C."""
    uvicorn.run(create_app(recommender), host=host, port=port, log_level="warning")
