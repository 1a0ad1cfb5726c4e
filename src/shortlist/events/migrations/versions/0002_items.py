"""Items that were put or deleted while serving."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "items",
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("document", sa.Text),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False, unique=True),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("items")
