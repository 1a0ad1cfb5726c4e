"""What deploy/ says to Shortlist is what Shortlist understands."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from shortlist.cli.app import app
from shortlist.errors import SettingsError

DEPLOY = Path(__file__).parent.parent / "deploy"


def command_lines() -> dict[str, list[str]]:
    """Arguments of ``shortlist`` in each file."""
    docker, unit = (DEPLOY / "Dockerfile").read_text(), (DEPLOY / "shortlist.service").read_text()
    started = re.search(r"^CMD (\[.*\])$", docker, re.MULTILINE)
    executed = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert started
    assert executed
    return {"Dockerfile": json.loads(started[1]), "shortlist.service": shlex.split(executed[1])[1:]}


@pytest.mark.parametrize("file", ["Dockerfile", "shortlist.service"])
def test_command_lines_are_understood(file: str) -> None:
    verb, *arguments = command_lines()[file]
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    given = command.make_context(verb, list(arguments)).params
    assert given["port"] == 8000
    assert given["access_log"]


def test_an_image_without_keys_does_not_start() -> None:
    """It listens to a network: the file that its environment names must be there."""
    verb, *arguments = command_lines()["Dockerfile"]
    environment = dict(re.findall(r"^ENV (SHORTLIST_\w+)=(\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
    environment["SHORTLIST_KEYS"] = environment["SHORTLIST_KEYS"].replace("/etc", "/nowhere")
    for keys, message in ((environment["SHORTLIST_KEYS"], "Cannot read the keys"), ("", "--keys keys.toml")):
        failed = CliRunner().invoke(app, [verb, *arguments], env={**environment, "SHORTLIST_KEYS": keys})
        assert isinstance(failed.exception, SettingsError)
        assert message in str(failed.exception)


def test_extras_and_variables_exist() -> None:
    unit = (DEPLOY / "shortlist.service").read_text()
    docker, compose = (DEPLOY / "Dockerfile").read_text(), (DEPLOY / "compose.yaml").read_text()
    extras = re.search(r"'\.\[(.*?)\]'", docker)
    assert extras
    declared = (DEPLOY.parent / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", declared, re.MULTILINE) for extra in extras[1].split(","))
    verb = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    variables = {str(one.envvar) for one in verb.params if getattr(one, "envvar", None)}
    told = set(
        re.findall(
            r"^(?:ENV|Environment=|#Environment=|\s+)\s*(SHORTLIST_\w+)[=:]", docker + compose + unit, re.MULTILINE
        )
    )
    assert told == variables == {"SHORTLIST_EVENTS", "SHORTLIST_KEYS"}
    assert "postgresql://" in compose
