"""Whether an artifact can be gone on from with some data: whether they meet, and whether it has learned the answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.interactions import Interactions
from shortlist.data.leakage import learned_targets, refuse_learned
from shortlist.data.splitting import Split, split
from shortlist.errors import DataError
from shortlist.recommender import artifact
from shortlist.settings import MFSettings, NetworkSettings, Settings
from shortlist.training.continuation import Start


def start_from(folder: Path, dataset: Dataset, parts: Split, *, leave_out: bool = False) -> Start:
    """Read the artifact, and see to it that its weights have learned nothing the new data asks for.

    Args:
        folder: of the artifact.
        dataset: to go on with.
        parts: of it.
        leave_out: of whom it has learned what would be asked for are not asked (``dataset.not_asked`` of what is returned),
            as when live events took back a user's newest like; nor are those whom the artifact itself did not ask.

    Raises:
        ArtifactError: it cannot be loaded.
        DataError: it knows no item of the new data, or (without ``leave_out``) has learned what stands in the validation or
            test part.
    """
    recommender = artifact.load(folder)
    start = Start(folder, recommender.settings, recommender.dataset, dataset)
    if not len(start.item_rows[0]):
        here, there = (one.items.ids[0].as_py() for one in (dataset, start.known))
        raise DataError(
            f"--from {folder}: none of the {dataset.num_items:,} items of the new data is known to the artifact: expected ids "
            f"such as {there!r}, got ids such as {here!r}. Check [data.columns] item_id, or train anew without --from."
        )
    if not isinstance(start.settings.retriever, (NetworkSettings, MFSettings)):
        return start  # nothing is taken over
    before = split(start.known, start.settings.split, start.settings.seed)
    last = before.train_and_valid if start.settings.training.refit else before.train
    not_asked = _not_asked_before(start)
    for holdout, learned, name in ((parts.valid, before.train, "validation"), (parts.test, last, "test")):
        asked = (holdout.queries.time, holdout.user_idx, holdout.targets, _moved(start, learned))
        if leave_out:
            not_asked[holdout.user_idx[learned_targets(dataset, *asked)[0]]] = True
        else:
            refuse_learned(dataset, *asked, name)
    return replace(start, dataset=replace(dataset, not_asked=not_asked)) if not_asked.any() else start


def _not_asked_before(start: Start) -> NDArray[np.bool_]:
    """[num_users] of the new data: whom the artifact did not ask, for what it went on from had learned the answer."""
    not_asked = np.zeros(start.dataset.num_users, dtype=bool)
    if start.known.not_asked is not None:
        rows = np.flatnonzero(start.known.not_asked)
        mine = start.dataset.users.rows(start.known.users.ids_of(rows))
        not_asked[mine[mine >= 0]] = True
    return not_asked


def refuse_the_same(folder: Path, settings: Settings, dataset: Dataset, said: str) -> None:
    """See to it that there is anything to learn that the artifact has not learned.

    Raises:
        DataError: data and settings are those of the artifact.
    """
    manifest = artifact.read_manifest(folder)
    if manifest["data_fingerprint"] == dataset.fingerprint and Settings.from_dict(manifest["settings"]) == settings:
        raise DataError(
            f"--from {folder}: there is nothing new to learn: {said.partition(';')[0]}, and together they are what the "
            "artifact was made of. Go on serving it, and train when more has happened."
        )


def _moved(start: Start, log: Interactions) -> Interactions:
    """What the artifact has learned, in the new data set's indices; without what that does not know."""
    users = start.dataset.users.rows(start.known.users.ids.to_pylist())
    items = start.dataset.items.rows(start.known.items.ids.to_pylist())
    user, item = users[log.user_idx], items[log.item_idx]
    kept = np.flatnonzero(log.liked & (user >= 0) & (item >= 0))
    return Interactions(
        user_idx=user[kept],
        item_idx=item[kept],
        timestamp=log.timestamp[kept],
        liked=log.liked[kept],
        disliked=log.disliked[kept],
        num_users=start.dataset.num_users,
    )
