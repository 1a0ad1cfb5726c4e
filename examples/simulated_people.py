"""People who do not exist ask a running service, and click on what is of their favourite genres: traffic for an experiment.

shortlist serve artifacts/demo --experiment examples/experiment.toml
python examples/simulated_people.py http://127.0.0.1:8000 --rounds 5
shortlist experiment report --events artifacts/demo.events.db
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import urllib.request
from typing import Any

PLACES = 5
LOOKS = (0.9, 0.7, 0.5, 0.4, 0.3)  # how likely somebody looks at each place
INTERESTED, OTHERWISE = 0.5, 0.1  # and clicks on what they look at


def ask(address: str, body: object | None = None) -> Any:
    """GET, or POST where there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def favourites(address: str, user: int) -> set[str]:
    """The two genres that somebody's history has most of."""
    history = ask(f"{address}/v1/users/{user}")["history"]
    genres = collections.Counter(genre for entry in history for genre in entry.get("genres", ()))
    return {genre for genre, _ in genres.most_common(2)}


def main() -> None:
    """Ask, look, click."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("address")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--people", type=int, default=600)
    given = arguments.parse_args()
    chance = random.Random(0)
    likes = {user: favourites(given.address, user) for user in range(1, given.people + 1)}
    for number in range(given.rounds):
        events = []
        for user, genres in likes.items():
            page = ask(f"{given.address}/v1/recommendations/{user}?k={PLACES}")
            for item, looks in zip(page["items"], LOOKS, strict=True):
                wants = INTERESTED if genres & set(item.get("genres", ())) else OTHERWISE
                if chance.random() < looks * wants:
                    events.append({"user_id": user, "item_id": item["item_id"], "event": "click"})
        for start in range(0, len(events), 1000):
            ask(f"{given.address}/v1/events", events[start : start + 1000])
        print(f"round {number + 1}: {len(events)} clicks")


if __name__ == "__main__":
    main()
