"""The report as one HTML file that needs nothing else: to be attached to a decision, read offline and printed."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from shortlist.evaluation.report import plain

_PAGE = Path(__file__).parent / "page"
# In the order in which they need each other; they share one scope.
_SCRIPTS = (
    "dom.js",
    "names.js",
    "model.js",
    "charts.js",
    "plane.js",
    "lines.js",
    "scatter.js",
    "header.js",
    "verdict.js",
    "accuracy.js",
    "slices.js",
    "stages.js",
    "tradeoffs.js",
    "running.js",
    "reference.js",
    "main.js",
)


def render(artifacts: Sequence[tuple[str, Mapping[str, Any]]], comparisons: Sequence[Mapping[str, Any]] = ()) -> str:
    """One page about one artifact, or about several beside each other.

    Style, script and data stand in the page itself and a content policy forbids everything else, so that nothing is
    loaded from anywhere. All text reaches the page as data, never as markup.

    Args:
        artifacts: (name, card) of each; a card without a report is named as not evaluated.
        comparisons: of pairs of them: ``first``, ``second``, ``comparable``, ``why_not`` and, by figure, the paired
            difference. Artifacts that are not comparable are not drawn on one axis.

    >>> page = render([("demo", {"model": "mf", "limits": ["</script>"]})])
    >>> page.count("</script>") == page.count("<script")
    True
    """
    data = {
        "artifacts": [{"name": name, "card": card} for name, card in artifacts],
        "comparisons": list(comparisons),
    }
    scripts = "\n".join((_PAGE / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return Template((_PAGE / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(", ".join(name for name, _ in artifacts)),
        style=(_PAGE / "page.css").read_text(encoding="utf-8"),
        data=json.dumps(plain(data), ensure_ascii=False, allow_nan=False, default=str).replace("<", "\\u003c"),
        script=f'"use strict";\n(() => {{\n{scripts}\n}})();',
    )
