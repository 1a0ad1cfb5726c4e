"""``[[rerank]]``: the steps that shape the page, in their order; one class a step."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shortlist.settings.table import Positive, Table

_UNITS = {"s": 1 / 86_400, "m": 1 / 1_440, "h": 1 / 24, "d": 1.0, "w": 7.0, "y": 365.25}


def days(duration: str) -> float:
    """``"30d"`` in days.

    >>> days("36h"), days("2w")
    (1.5, 14.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdwy])", duration.strip())
    if found is None or not float(found[1]):
        raise ValueError('a duration is a number above 0 and a unit (s, m, h, d, w, y), such as "30d" or "12h"')
    return float(found[1]) * _UNITS[found[2]]


def _checked(duration: str) -> str:
    days(duration)
    return duration


Duration = Annotated[str, AfterValidator(_checked)]
Strength = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


class RerankStep(Table):
    """What all steps have in common."""

    candidates: Positive | None = Field(
        None,
        description="items retrieval gives at least, to choose from; of several steps the largest counts; default: as many as "
        "[ranker] ranks, or 200",
    )


class RulesSettings(RerankStep):
    """Disliked and blocked items out, pinned ones on top, at most so many of a group."""

    step: Literal["rules"] = "rules"
    strength: Strength = Field(
        1.0, description="1: as written; less: pins go that share of the way up, and so many more of a group are let in"
    )
    block: tuple[str | int, ...] = Field((), description="ids of items never shown")
    pin: tuple[str | int, ...] = Field(
        (), description="ids of items shown first, in this order, to everybody whose filters let them through"
    )
    at_most: Positive | None = Field(None, description="items of one group on the page; default: any number")
    groups: str | None = Field(None, description="at_most: item feature (category or tags) whose values are the groups")

    @model_validator(mode="after")
    def _groups_of_quota(self) -> Self:
        if (self.at_most is None) != (self.groups is None):
            raise ValueError(
                'at_most needs groups and groups needs at_most: set both, such as at_most = 3, groups = "genres"'
            )
        return self


class BoostSettings(RerankStep):
    """Some items up: (1 − strength) · relevance + strength · 1 for them and 0 for the others."""

    step: Literal["boost"] = "boost"
    strength: Strength = Field(0.2, description="0: nothing changes; 1: all of them before all others")
    where: str | None = Field(None, description="condition on the items' columns, such as 'genres has \"Comedy\"'")
    items: tuple[str | int, ...] = Field((), description="ids of items; together with those of where")

    @model_validator(mode="after")
    def _anything(self) -> Self:
        if self.where is None and not self.items:
            raise ValueError("boost needs to know what: set where = 'year >= 2020', or items = [...]")
        return self


class FreshnessSettings(RerankStep):
    """Relevance · ((1 − strength) + strength · 2^(−(age − age of the freshest candidate) / half-life))."""

    step: Literal["freshness"] = "freshness"
    strength: Strength = Field(0.5, description="0: nothing changes; 1: relevance halves with every half-life")
    half_life: Duration = Field(
        "30d", description='an item so much older than the freshest counts half: "12h", "30d", "2w", "1y"'
    )
    date: str | None = Field(
        None,
        description="item feature that says when it came: years, days, seconds or milliseconds since 1970 (told by their size), "
        "or ISO 8601; default: available_from where [data.columns] names one, else the item's first interaction",
    )


class DiversitySettings(RerankStep):
    """Items unlike those above them: maximal marginal relevance, or a greedy determinantal point process."""

    step: Literal["diversity"] = "diversity"
    strength: Strength = Field(0.3, description="0: nothing changes; 1: relevance counts only for the first item")
    method: Literal["mmr", "dpp"] = Field(
        "mmr",
        description="mmr: unlike the most similar one above (Carbonell and Goldstein 1998); dpp: unlike all of them at "
        "once (Chen et al. 2018)",
    )
    feature: str | None = Field(
        None,
        description="item feature (category, tags or vector) that says what is alike; default: the retriever's item vectors",
    )


class CalibrationSettings(RerankStep):
    """The page's tags in the proportions of the person's history (Steck 2018)."""

    step: Literal["calibration"] = "calibration"
    strength: Strength = Field(0.3, description="0: nothing changes; 1: proportions alone count")
    feature: str | None = Field(
        None, description="item feature (tags or category) to be calibrated; default: the only one there is"
    )


class ExposureSettings(RerankStep):
    """A fair part of the page for a group of items or providers."""

    step: Literal["exposure"] = "exposure"
    method: Literal["minimum_share", "amortised"] = Field(
        "minimum_share",
        description="minimum_share: so many protected items that every prefix passes a test (FA*IR, Zehlike et al. 2017); "
        "amortised: attention to groups in proportion to their relevance (Biega et al. 2018)",
    )
    strength: Strength = Field(1.0, description="0: nothing changes; minimum_share: part of share that is guaranteed")
    groups: str | None = Field(
        None,
        description="item feature (category) whose values are the groups, such as the provider; default: tail and head by "
        "popularity, the head being the fewest items that have 80 % of all positives",
    )
    protected: tuple[str, ...] = Field(
        (), description="minimum_share: values of groups that are protected; default without groups: the tail"
    )
    share: Share = Field(0.3, description="minimum_share: wanted share of protected items")
    significance: Share = Field(
        0.1, description="minimum_share: chance that a page drawn fairly fails the test, over all its places"
    )

    @model_validator(mode="after")
    def _protected_groups(self) -> Self:
        if self.method == "minimum_share" and (self.groups is None) != (not self.protected):
            raise ValueError(
                'minimum_share takes groups and protected together: groups = "studio", protected = ["A24"]; or neither, for '
                "the tail"
            )
        return self


class DampingSettings(RerankStep):
    """Less of what everybody knows: (1 − strength) · relevance + strength · novelty."""

    step: Literal["popularity"] = "popularity"
    strength: Strength = Field(0.2, description="0: nothing changes; 1: the least popular candidates first")


class ExplorationSettings(RerankStep):
    """A draw from the softmax of relevance instead of its order."""

    step: Literal["exploration"] = "exploration"
    strength: Strength = Field(0.5, description="0: nothing changes; multiplies temperature")
    temperature: Annotated[float, Field(gt=0)] = Field(
        0.1, description="at strength 1, of relevance that goes from 0 to 1 over the candidates"
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="the same seed, person and period: the same draw")
    period: Duration = Field("1h", description="for how long one person's draw stays the same")


RerankSettings = (
    RulesSettings
    | BoostSettings
    | FreshnessSettings
    | DiversitySettings
    | CalibrationSettings
    | ExposureSettings
    | DampingSettings
    | ExplorationSettings
)
AnyStep = Annotated[RerankSettings, Field(discriminator="step")]
