"""The tables, as SQLAlchemy Core. Names and columns only: queries live with their repository.

Times are epoch seconds (UTC) as floats, money is whole nano-USD, lists are JSON text. An index exists for
every list the admin API shows, newest first. Changing a table needs a migration beside it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only for a column typed exactly INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

# Single facts of the installation: `revision` counts changes of what is kept in memory, others are sealed.
meta = Table(
    "meta", metadata, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False)
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),
    Column("previous_digest", LargeBinary(32), unique=True),
    Column("previous_until", Float),
    Column("tags", Text, nullable=False, server_default="[]"),
    Column("models", Text),
    Column("default_effort", String(16)),
    Column("enforced_effort", String(16)),
    Column("max_effort", String(16)),
    Column("concurrency", Integer),
    Column("account_groups", Text),
    Column("expires_at", Float),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
    Column("last_used_at", Float),
)

limits = Table(
    "limits",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("key_id", String(32), ForeignKey("keys.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("measure", String(16), nullable=False),
    Column("per", String(8), nullable=False),
    Column("max", BigInteger, nullable=False),
    Column("models", String(256)),
    CheckConstraint("max >= 0", name="max"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("target", String(256), nullable=False),
    Column("position", Integer, nullable=False),
)

prices = Table(
    "prices",
    metadata,
    Column("model", String(256), primary_key=True),
    Column("rates", Text, nullable=False),
    Column("updated_at", Float, nullable=False),
)

# One row per generation request. `uid` names a settlement once for ever: what is written twice is kept once.
requests = Table(
    "requests",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("uid", String(48), nullable=False, unique=True),
    Column("request_id", String(128), nullable=False),
    Column("time", Float, nullable=False),
    Column("key", String(64), nullable=False),
    Column("client", String(128), nullable=False),
    Column("route", String(32), nullable=False),
    Column("requested_model", String(256), nullable=False),
    Column("upstream_model", String(256), nullable=False),
    Column("effort", String(16)),
    Column("account", String(64), nullable=False),
    Column("attempts", Text, nullable=False),
    Column("lineage", String(64), nullable=False),
    Column("session_hash", String(64)),
    Column("conversation_hash", String(64)),
    Column("lane", String(16), nullable=False),
    Column("status", Integer, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("error_type", String(48)),
    Column("stop_reason", String(48)),
    Column("stream", Boolean, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("written_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("usage_source", String(16), nullable=False),
    Column("service_tier", String(16)),
    Column("cost_nano", BigInteger),
    Column("anthropic_cost_nano", BigInteger),
    Column("queue_ms", Float),
    Column("connect_ms", Float),
    Column("first_byte_ms", Float),
    Column("first_token_ms", Float),
    Column("duration_ms", Float),
    Column("ignored_fields", Text, nullable=False),
    Column("repaired", Text, nullable=False),
    Column("dropped_reasoning", Integer, nullable=False),
    Column("cache_verdict", String(48)),
    # The verdict without its number: `messages_changed(k)` is one cause with a label for every k.
    Column("cache_cause", String(24)),
    Column("cache_story", Text),
    # Why this account: a sentence, the same in a word, and what leaving another one's cache cost.
    Column("choice", String(256), nullable=False, server_default=""),
    Column("move", String(12), nullable=False, server_default=""),
    Column("lost_nano", BigInteger, nullable=False, server_default="0"),
    # Newest first for the whole list and for each filter; `id` breaks ties of one instant.
    Index("ix_requests_time_id", "time", "id"),
    Index("ix_requests_request_id_time_id", "request_id", "time", "id"),
    Index("ix_requests_key_time_id", "key", "time", "id"),
    Index("ix_requests_requested_model_time_id", "requested_model", "time", "id"),
    Index("ix_requests_upstream_model_time_id", "upstream_model", "time", "id"),
    Index("ix_requests_account_time_id", "account", "time", "id"),
    Index("ix_requests_session_hash_time_id", "session_hash", "time", "id"),
    Index("ix_requests_conversation_hash_time_id", "conversation_hash", "time", "id"),
    Index("ix_requests_cache_cause_time_id", "cache_cause", "time", "id"),
    # What went well needs no index of its own: almost every row of the list is one.
    Index(
        "ix_requests_outcome_time_id",
        "outcome",
        "time",
        "id",
        info={"where": "outcome <> 'ok'"},
    ),
    Index(
        "ix_requests_status_time_id",
        "status",
        "time",
        "id",
        info={"where": "status <> 200"},
    ),
    Index(
        "ix_requests_error_type_time_id",
        "error_type",
        "time",
        "id",
        info={"where": "error_type IS NOT NULL"},
    ),
)

# Sums of ended requests by hour, written together with the rows: counters, facets and series live on it.
usage_hours = Table(
    "usage_hours",
    metadata,
    Column("hour", BigInteger, primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("requested_model", String(256), primary_key=True),
    Column("upstream_model", String(256), primary_key=True),
    Column("account", String(64), primary_key=True),
    Column("outcome", String(16), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("counted", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("written_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),
    Column("anthropic_cost_nano", BigInteger, nullable=False),
    Column("unpriced", BigInteger, nullable=False),
    Column("estimated", BigInteger, nullable=False),
    Column("first_token_ms", Float, nullable=False),
    Column("first_tokens", BigInteger, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Index("ix_usage_hours_key_hour", "key", "hour"),
)

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),
    Column("totp", Text),
    Column("totp_step", BigInteger),
    Column("recovery", Text, nullable=False, server_default="[]"),
    Column("created_at", Float, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", String(32), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
)

# Tokens of automation, and the one bootstrap token (role `setup`) of an installation without users.
tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("last_used_at", Float),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("time", Float, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(48), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_time_id", "time", "id"),
)

# Accounts of the pool. `identity` is what makes an account the same one when it is seen again; `sealed` holds
# its credentials under the record `accounts:<id>`; `refresh_mark` stands for the refresh token in there.
# `origin_mark` is another one after every login and every change by an operator; of an account of the
# configuration file it stands for the token that the file had.
accounts = Table(
    "accounts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("base_url", String(512), nullable=False),
    Column("identity", String(256), nullable=False, unique=True),
    Column("email", String(320)),
    Column("plan", String(64)),
    Column("status", String(16), nullable=False),
    Column("weight", Float, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("group", String(64), nullable=False),
    Column("concurrency", Integer),
    Column("models", Text),
    Column("created_at", Float, nullable=False),
    Column("last_refresh", Float),
    Column("access_expires_at", Float),
    Column("note", String(256)),
    Column("sealed", Text, nullable=False),
    Column("refresh_mark", LargeBinary(32)),
    Column("origin_mark", LargeBinary(32)),
)

# What was last heard of an account's quota: one row per meter and length of window.
quotas = Table(
    "quotas",
    metadata,
    Column("account_id", String(96), primary_key=True),
    Column("meter", String(64), primary_key=True),
    Column("seconds", BigInteger, primary_key=True, autoincrement=False),
    Column("used", Float, nullable=False),
    Column("resets_at", Float),
    Column("seen_at", Float, nullable=False, index=True),
)

# What an upstream said of an account that ends by itself: a limit, a refusal. `model` is empty for all.
rests = Table(
    "rests",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("cause", String(16), nullable=False),
    Column("until", Float, nullable=False),
    Column("heard_at", Float, nullable=False, index=True),
)

# Which account a conversation is bound to; the affinity is a hash.
pins = Table(
    "pins",
    metadata,
    Column("affinity", String(64), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("pinned_at", Float, nullable=False),
    Column("used_at", Float, nullable=False, index=True),
)

# What one process at a time may do, and until when it is believed to live.
claims = Table(
    "claims",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", Float, nullable=False),
)

# The processes that serve on this database, and what their requests in flight hold of limits (JSON).
replicas = Table(
    "replicas",
    metadata,
    Column("boot", String(32), primary_key=True),
    Column("holds", Text, nullable=False),
    Column("seen_at", Float, nullable=False),
)


def narrow(dialect: str) -> None:
    """Tells SQLAlchemy of the rows that an index is limited to, in the words of one dialect.

    In the tables themselves that would import the dialects of both databases.
    """
    for table in metadata.tables.values():
        for index in table.indexes:
            if (where := index.info.get("where")) is not None:
                index.dialect_kwargs[f"{dialect}_where"] = text(where)
