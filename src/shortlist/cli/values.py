"""What verbs read from the text of an option."""

from __future__ import annotations

import typer


def ids(text: str | None) -> list[str | int]:
    """``"1, 588"`` → ids."""
    return [one.strip() for one in text.split(",") if one.strip()] if text else []


def pair(text: str) -> tuple[str, str]:
    """``"age=25"`` → name and value."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"expected NAME=VALUE, got {text!r}", param_hint="--feature")
    return name, value
