"""Settings → ``Dataset``: which tables, then ``prepare``."""

from __future__ import annotations

from collections.abc import Mapping

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import Schema
from shortlist.data.live_events import LiveEvents
from shortlist.data.preparation import prepare
from shortlist.data.sources import folder_of, known_dataset
from shortlist.errors import SettingsError
from shortlist.settings import Settings


def load_dataset(settings: Settings, known: Schema | None = None, events: LiveEvents | None = None) -> Dataset:
    """Read what ``[data]``, ``[features]`` and ``[split]`` name.

    Args:
        settings: of the run.
        known: features of an artifact to go on from; see ``prepare``.
        events: what was said while serving, to be part of the log.

    Raises:
        SettingsError: no source is named, or two.
        DataError: see ``prepare``.

    >>> load_dataset(Settings.from_dict({"data": {"dataset": "ml-latest-small"}})).num_items
    9066
    """
    data, split = settings.data, settings.split
    if split.method == "files" and data.dataset is None:
        files = _split_files(settings)
        return prepare(files, data.users, data.items, data, settings.features, split.negatives, known, events)
    if (data.dataset is None) == (data.interactions is None):
        raise SettingsError(
            '[data] needs either interactions = "FILE" or dataset = "NAME" (see `shortlist data list`); '
            f"got dataset={data.dataset!r}, interactions={data.interactions!r}."
        )
    if data.dataset is not None:
        tables = known_dataset(data.dataset).tables(folder_of(data.dataset))
        if split.method == "files" and not isinstance(tables.interactions, Mapping):
            raise SettingsError(
                f'[split] method = "files": {data.dataset} is one table, without parts. Choose another method, or give train and '
                "test as files instead of [data] dataset."
            )
        return prepare(
            tables.interactions,
            data.users or tables.users,
            data.items or tables.items,
            data,
            settings.features,
            split.negatives or tables.negatives,
            known,
            events,
        )
    return prepare(data.interactions, data.users, data.items, data, settings.features, known=known, events=events)


def _split_files(settings: Settings) -> dict[str, str]:
    split = settings.split
    files = {
        name: path for name, path in (("train", split.train), ("valid", split.valid), ("test", split.test)) if path
    }
    if not {"train", "test"} <= files.keys():
        raise SettingsError('[split] method = "files" needs train = "FILE" and test = "FILE".')
    return files
