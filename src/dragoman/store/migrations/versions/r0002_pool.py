"""The pool: accounts with their credentials, quotas, pins, claims, and the processes of one database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ("replicas", "claims", "pins", "rests", "quotas", "accounts")


def upgrade() -> None:
    _choices()
    _accounts()
    _heard()
    _shared()


def downgrade() -> None:
    for name in _TABLES:
        op.drop_table(name)
    with op.batch_alter_table("requests", schema=None) as batch_op:
        for name in ("lost_nano", "move", "choice"):
            batch_op.drop_column(name)
    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.drop_column("account_groups")


def _choices() -> None:
    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("account_groups", sa.Text(), nullable=True))
    with op.batch_alter_table("requests", schema=None) as batch_op:
        batch_op.add_column(sa.Column("choice", sa.String(length=256), server_default="", nullable=False))
        batch_op.add_column(sa.Column("move", sa.String(length=12), server_default="", nullable=False))
        batch_op.add_column(sa.Column("lost_nano", sa.BigInteger(), server_default="0", nullable=False))


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("base_url", sa.String(length=512), nullable=False),
        sa.Column("identity", sa.String(length=256), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("plan", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("group", sa.String(length=64), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("models", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("last_refresh", sa.Float(), nullable=True),
        sa.Column("access_expires_at", sa.Float(), nullable=True),
        sa.Column("note", sa.String(length=256), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("refresh_mark", sa.LargeBinary(length=32), nullable=True),
        sa.Column("origin_mark", sa.LargeBinary(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("identity", name=op.f("uq_accounts_identity")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
    )


def _heard() -> None:
    op.create_table(
        "quotas",
        sa.Column("account_id", sa.String(length=96), nullable=False),
        sa.Column("meter", sa.String(length=64), nullable=False),
        sa.Column("seconds", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("used", sa.Float(), nullable=False),
        sa.Column("resets_at", sa.Float(), nullable=True),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "meter", "seconds", name=op.f("pk_quotas")),
    )
    with op.batch_alter_table("quotas", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quotas_seen_at"), ["seen_at"], unique=False)

    op.create_table(
        "rests",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("heard_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account", "model", name=op.f("pk_rests")),
    )
    with op.batch_alter_table("rests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rests_heard_at"), ["heard_at"], unique=False)


def _shared() -> None:
    op.create_table(
        "pins",
        sa.Column("affinity", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("pinned_at", sa.Float(), nullable=False),
        sa.Column("used_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("affinity", name=op.f("pk_pins")),
    )
    with op.batch_alter_table("pins", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pins_used_at"), ["used_at"], unique=False)

    op.create_table(
        "claims",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_claims")),
    )

    op.create_table(
        "replicas",
        sa.Column("boot", sa.String(length=32), nullable=False),
        sa.Column("holds", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("boot", name=op.f("pk_replicas")),
    )
