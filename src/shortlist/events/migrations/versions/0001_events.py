"""Events, and who was forgotten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "events",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.Text, nullable=False, unique=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float(53)),
        sqlite_autoincrement=True,
    )
    op.create_index("events_of_user", "events", ["user_id", "timestamp", "sequence"])
    op.create_table(
        "forgotten_users",
        sa.Column("user_hash", sa.Text, primary_key=True),
        sa.Column("forgotten_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("forgotten_users")
    op.drop_table("events")
