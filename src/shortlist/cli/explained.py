"""Explanations for people to read on a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from shortlist.recommender.attribution import Attribution, Move
from shortlist.recommender.query import Recommendation

_SHOWN = 10  # parts of a score that are listed; the rest is summed up in a line of its own


def explanation(item: Recommendation) -> RenderableType:
    """All scores of one item taken apart, and what each stage did with it."""
    lines: list[RenderableType] = [Text(f"\n{item.rank}. {item.title}", style="bold")]
    for one in item.attributions:
        lines += [Padding(Text(_sentence(one), style="dim"), (0, 0, 0, 3)), Padding(_parts(one), (0, 0, 0, 5))]
    if item.moves:
        lines.append(Padding(Text("; ".join(_movement(move) for move in item.moves), style="dim"), (0, 0, 0, 3)))
    return Group(*lines)


def percent(share: float) -> str:
    r"""A share with its sign, in one piece where lines are broken.

    >>> percent(0.384), percent(-0.2)
    ('+38\xa0%', '−20\xa0%')
    """
    return f"{'−' if share < 0 else '+'}{abs(share):.0%}".replace("%", "\N{NO-BREAK SPACE}%")


def number(value: float) -> str:
    """To three figures behind the point, more where that would be nothing.

    >>> number(-1.25), number(0.00042)
    ('−1.250', '0.00042')
    """
    text = f"{abs(value):.3f}" if abs(value) >= 0.01 or not value else f"{abs(value):.2g}"
    return f"−{text}" if value < 0 else text


def _sentence(one: Attribution) -> str:
    where = one.model if one.stage == one.model else f"{one.stage}, {one.model}"
    if not one.parts:
        return f"{where}: score {number(one.score)}, the same for everybody"
    return f"{where}: score {number(one.score)} = {number(one.baseline)} for somebody unknown, and"


def _parts(one: Attribution) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(justify="right", style="dim")
    table.add_column()
    for part in one.parts[:_SHOWN]:
        table.add_row(_signed(part.contribution), percent(part.share), Text(part.text))
    rest = one.parts[_SHOWN:]
    if rest:
        amount, share = sum(part.contribution for part in rest), sum(abs(part.share) for part in rest)
        table.add_row(_signed(amount), f"{share:.0%}".replace("%", " %"), f"{len(rest)} smaller parts together")
    return table


def _signed(value: float) -> str:
    return number(value) if value < 0 else f"+{number(value)}"


def _movement(move: Move) -> str:
    if not move.place:
        return f"{move.stage}: not there yet"
    if not move.lifted:
        return f"{move.stage}: place {move.place}"
    return f"{move.stage}: {'lifted' if move.lifted > 0 else 'lowered'} by {abs(move.lifted)} to place {move.place}"
