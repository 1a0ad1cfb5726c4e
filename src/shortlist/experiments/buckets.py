"""Who is in which arm: by a hash of the id, so that everybody stays where they are, on every machine and after restarts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from shortlist.data.vocabulary import OutsideId


def place_of(salt: str, user_id: OutsideId) -> float:
    """Where a user stands on [0, 1): uniform over users, and unrelated between two salts.

    The first 53 bits of BLAKE2b (RFC 7693), keyed with a digest of the salt. 7 and ``"7"`` are one user.

    >>> place_of("colours", 7) == place_of("colours", "7") != place_of("sizes", 7)
    True
    """
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    digest = hashlib.blake2b(str(user_id).encode(), digest_size=8, key=key).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def arm_of(salt: str, user_id: OutsideId, shares: Mapping[str, float]) -> str | None:
    """The arm of a user; None: none, where the shares leave some people out.

    Args:
        salt: of the experiment.
        user_id: who.
        shares: of the arms, in order; at most 1 together. When the last one's share grows, nobody moves from arm to arm.

    >>> arm_of("colours", 7, {"red": 1.0}), arm_of("colours", 7, {})
    ('red', None)
    """
    place, below = place_of(salt, user_id), 0.0
    for arm, share in shares.items():
        below += share
        if place < below:
            return arm
    # what rounding leaves of shares that sum to one
    return list(shares)[-1] if shares and below > 1 - 1e-9 else None
