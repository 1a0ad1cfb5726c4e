"""What happens while serving: kept before it is acknowledged, and part of the next answer. Needs no PyTorch."""

from shortlist.events.event import Event
from shortlist.events.state import UserState
from shortlist.events.store import EventStore

__all__ = ["Event", "EventStore", "UserState"]
