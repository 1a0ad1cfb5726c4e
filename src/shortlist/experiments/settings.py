"""``experiment.toml``: which arms there are, what they serve, and how many people each gets."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from shortlist.errors import SettingsError, did_you_mean
from shortlist.settings import RerankSettings
from shortlist.settings.reranking import AnyStep
from shortlist.settings.table import Table

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class ArmSettings(Table):
    """What some of the people get."""

    share: Annotated[float, Field(gt=0, le=1)] = Field(description="of all users, from above 0 to 1")
    artifact: str | None = Field(
        None, description="folder of its artifact, relative to the file; default: what is served"
    )
    rerank: tuple[AnyStep, ...] | None = Field(
        None, description="[[arms.NAME.rerank]] steps in place of its artifact's; default: its artifact's"
    )


class ExperimentSettings(Table):
    """A whole experiment, as in the TOML file.

    >>> ExperimentSettings.from_dict({"name": "a", "arms": {"now": {"share": 0.5}, "new": {"share": 0.5}}}).control
    'now'
    """

    name: str = Field(description="of the experiment: exposures are kept under it; letters, digits, _, - and .")
    salt: str | None = Field(
        None, description="what is hashed with a user's id; another salt deals people anew; default: the name"
    )
    baseline: str | None = Field(None, description="arm that the others are compared to; default: the first")
    arms: dict[str, ArmSettings] = Field(description="by name, in order")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in (self.name, *self.arms):
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} is no name: expected 1 to 64 letters, digits, _, - and ., a letter or digit first"
                )
        if not self.arms:
            raise ValueError("arms: expected at least one, such as [arms.now] share = 0.5")
        if self.baseline is not None and self.baseline not in self.arms:
            raise ValueError(f"baseline: there is no arm {self.baseline!r}; {did_you_mean(self.baseline, self.arms)}")
        total = sum(arm.share for arm in self.arms.values())
        if total > 1 + 1e-9:
            raise ValueError(
                f"the shares of the arms sum to {total:g}; expected at most 1, of which the rest is in no arm"
            )
        for name, arm in self.arms.items():
            check_draws(arm.rerank or (), f"arms.{name}.rerank")
        return self

    @property
    def control(self) -> str:
        """The arm that the others are compared to."""
        return self.baseline or next(iter(self.arms))

    @property
    def salted(self) -> str:
        """What is hashed with an id."""
        return self.name if self.salt is None else self.salt

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Check plain values.

        Raises:
            SettingsError: names the key, what was expected, and what came.
        """
        try:
            return cls.model_validate_json(json.dumps(values, default=str))
        except ValidationError as error:
            raise SettingsError(f"Experiment: {'; '.join(_explained(error))}.") from None

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a TOML file; artifacts in it are relative to the file.

        Raises:
            SettingsError: it cannot be read, or a setting is wrong.
        """
        file = Path(path)
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(
                f"Cannot read the experiment {file}: {error.strerror}. Give the path of a TOML file."
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} is not valid TOML: {error}.") from None
        arms = values.get("arms")
        for arm in arms.values() if isinstance(arms, dict) else ():
            if isinstance(arm, dict) and isinstance(arm.get("artifact"), str):
                arm["artifact"] = str((file.parent / Path(arm["artifact"]).expanduser()).resolve())
        return cls.from_dict(values)


def check_draws(steps: tuple[RerankSettings, ...], where: str) -> None:
    """Refuse steps after which nobody knows how likely the page was.

    Raises:
        ValueError: a step draws, and another follows.
    """
    for place, step in enumerate(steps[:-1]):
        if step.step == "exploration" and step.strength > 0:
            raise ValueError(
                f"{where}.{place}: exploration has to be the last step: what comes after it changes the page, and nobody "
                "knows how likely the page was. Move it to the end"
            )


def _explained(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            table = ArmSettings if key.startswith("arms.") else ExperimentSettings
            lines.append(f"unknown setting {key!r}; {did_you_mean(str(problem['loc'][-1]), table.model_fields)}")
        elif not key:
            lines.append(problem["msg"].removeprefix("Value error, "))
        else:
            lines.append(f"{key}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}")
    return lines
