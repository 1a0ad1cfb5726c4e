"""What experiments showed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "exposures",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("request_id", sa.Text, nullable=False, unique=True),
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("share", sa.Float(53), nullable=False),
        sa.Column("is_control", sa.Boolean, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("items", sa.Text, nullable=False),
        sa.Column("propensity", sa.Text),
        sa.Column("given_above", sa.Text),
        sa.Column("asked", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("exposures_of_user", "exposures", ["user_id"])
    op.create_index("exposures_in_time", "exposures", ["experiment", "timestamp"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("exposures")
