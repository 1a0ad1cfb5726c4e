"""Features of a grown data set, encoded so that weights learned before keep their meaning."""

from __future__ import annotations

from dataclasses import replace

from shortlist.data.feature_spec import FeatureSpec
from shortlist.errors import DataError


def grown(known: FeatureSpec, fitted: FeatureSpec) -> FeatureSpec:
    """One feature's encoding for new data, from the encoding an artifact has and the one the new data alone would have.

    Values that were known keep their codes, new ones come after them; numbers keep their scale, so that a price of 10 is
    the same input as before. Hashed values, words and what is computed are encoded without the data.

    Args:
        known: of the artifact.
        fitted: on the new data, with the same settings.

    Raises:
        DataError: vectors of another width.

    >>> known = FeatureSpec("town", "user", "category", values=("Rome", "Oslo"))
    >>> grown(known, replace(known, values=("Oslo", "Bern"))).values
    ('Rome', 'Oslo', 'Bern')
    """
    if known.width != fitted.width:
        raise DataError(
            f"feature {known.name!r}: vectors of {known.width} numbers were expected, as in the artifact to go on from, got "
            f"{fitted.width}. Give vectors of the same model, or train anew without --from."
        )
    if fitted.kind == "number":
        return replace(fitted, mean=known.mean, std=known.std, knots=known.knots)
    new = tuple(value for value in fitted.values if value not in set(known.values))
    return replace(fitted, values=known.values + new)
