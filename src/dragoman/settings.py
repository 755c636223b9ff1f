"""The settings schema: every key of the configuration file and of the environment, with its default.

Order: command line flag > environment (`DRAGOMAN_SECTION__KEY`) > TOML file > default. An unknown key is
an error that names the nearest known one. Nothing here reads a key file or opens a socket: `secrets_of`
in the composition root does that. What file and environment say, and how it is wrong, is read by `sources`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from dragoman import sources
from dragoman.sources import OUTSIDE as OUTSIDE
from dragoman.sources import PREFIX as PREFIX
from dragoman.sources import SettingsError as SettingsError
from dragoman.wire import address

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Section(BaseModel):
    """One table of the file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)


class Server(Section):
    """`[server]`: where it listens and how much it takes on at once."""

    host: str = Field(
        default="127.0.0.1", description="Address to listen on. Any other than loopback needs `[[keys]]`."
    )
    port: int = Field(default=8787, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    allowed_hosts: list[str] = Field(
        default=[],
        description="Names accepted in the Host header besides loopback ones, while no key exists.",
    )
    max_streams: int = Field(
        default=1024, ge=1, description="Requests that may be in flight at the same time."
    )
    queue: int = Field(default=256, ge=0, description="Requests that may wait for a place.")
    queue_seconds: float = Field(default=5.0, ge=0, description="Longest wait for a place before 529.")
    drain_seconds: float = Field(default=120.0, ge=0, description="Time that open streams get after SIGTERM.")
    ping_seconds: float = Field(
        default=15.0, gt=0, description="Silence after which a stream gets a `ping` event."
    )
    hold_seconds: float = Field(
        default=10.0,
        gt=0,
        description="Longest time the response head is held back for the first content event.",
    )
    max_body_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=1024,
        description="Largest request body, as sent and after decompression.",
    )


class Upstream(Section):
    """`[upstream]`: how the gateway calls Responses servers."""

    connect_seconds: float = Field(default=10.0, gt=0, description="Time limit for a connection.")
    first_event_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Time limit for the first byte of an answer; then the next account is tried.",
    )
    idle_seconds: float = Field(
        default=300.0, gt=0, description="Longest silence of an upstream inside a stream."
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file of certificates to trust instead of the system's."
    )
    user_agent: str = Field(
        default="",
        description="User-Agent sent upstream; empty presents this gateway by its name and version.",
    )
    allow_link_local: bool = Field(
        default=False,
        description="Permit accounts at link-local addresses and at cloud metadata services.",
    )

    @field_validator("user_agent")
    @classmethod
    def _sendable(cls, value: str) -> str:
        return sendable(value)


class Anthropic(Section):
    """`[anthropic]`: choices of the Messages door."""

    default_effort: Effort | None = Field(
        default=None, description="Reasoning effort where neither the request nor the alias names one."
    )
    strict_history: bool = Field(
        default=False,
        description="Refuse tool calls without result and results without call, instead of mending them.",
    )
    lenient: bool = Field(
        default=False,
        description="Ignore (and log) what cannot be honoured, where otherwise the answer is 400.",
    )

    @field_validator("default_effort", mode="before")
    @classmethod
    def _blank_is_absent(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value


class Cache(Section):
    """`[cache]`: care of the upstream's prompt cache."""

    key_per_lane: bool = Field(
        default=False, description="Give sub-agents and side calls a `prompt_cache_key` of their own."
    )


class Routing(Section):
    """`[routing]`: which account a request goes to."""

    strategy: Literal["affinity", "headroom", "round-robin", "fill-first"] = Field(
        default="affinity",
        description="Where new conversations begin: `affinity` spreads them by weight and what is left, "
        "`headroom` takes the emptiest account, `round-robin` one after the other, `fill-first` the first "
        "that is not spent. A conversation stays on its account in any case.",
    )


class Secrets(Section):
    """`[secrets]`: the key that signs sealed reasoning and salts cache keys and hashes."""

    key_env: str | None = Field(
        default=None, description="Environment variable that holds the key (any long text)."
    )
    key_file: Path = Field(
        default=Path("secret"),
        description="File that holds the key, relative to the data directory; made when absent.",
    )


class Database(Section):
    """`[database]`: where keys, limits, the request log and everything else that lasts is kept."""

    url: str = Field(
        default="sqlite:///dragoman.db",
        repr=False,
        description="`sqlite:///FILE` (relative to the data directory) or `postgresql://…`.",
    )
    auto_migrate: bool = Field(
        default=True, description="Bring an older database to this version's tables at the start."
    )
    on_failure: Literal["serve_known", "refuse"] = Field(
        default="serve_known",
        description="While the database is down: serve the keys in memory for 15 minutes, or refuse them.",
    )
    retention_days: int = Field(
        default=30, ge=0, description="Age at which rows of the request log are removed; 0 keeps them."
    )


class Admin(Section):
    """`[admin]`: the admin API and its users."""

    setup_token_env: str | None = Field(
        default=None,
        description="Environment variable with the token for the first set-up; else one is made and shown.",
    )


class Logging(Section):
    """`[logging]`: the log on standard error. It never holds prompt text or keys."""

    format: Literal["auto", "console", "json"] = Field(
        default="auto", description="`auto` writes for people on a terminal and JSON lines elsewhere."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level written."
    )


class Telemetry(Section):
    """`[telemetry]`: traces of requests, for OpenTelemetry."""

    traces: bool = Field(
        default=False,
        description="Send spans to the endpoint of `OTEL_EXPORTER_OTLP_ENDPOINT`; needs the extra `otel`.",
    )


class Secret(Section):
    """A value that may be given in place, by environment variable or by file."""

    SECRET: ClassVar[str]

    @model_validator(mode="after")
    def _one_source(self) -> Secret:
        name = self.SECRET
        given = [key for key in (name, f"{name}_env", f"{name}_file") if getattr(self, key) is not None]
        if len(given) != 1 and not (self._optional() and not given):
            found = " and ".join(given) or "none"
            raise ValueError(f"exactly one of {name}, {name}_env, {name}_file is needed, found {found}")
        return self

    def _optional(self) -> bool:
        return False


def sendable(value: str) -> str:
    """The text itself, if a header field can carry it: one line, printable. Raises ValueError."""
    if not value.isprintable():
        raise ValueError("holds characters that a header field cannot carry")
    return value


def _address(value: str) -> str:
    """An upstream's address without its last slash. Raises ValueError."""
    if (problem := address.problem(value)) is not None:
        raise ValueError(problem)
    return value.rstrip("/")


class Account(Secret):
    """`[[accounts]]`: one upstream."""

    SECRET: ClassVar[str] = "api_key"

    name: str = Field(min_length=1, max_length=64, description="Name in logs and headers.")
    kind: Literal["openai", "responses", "chatgpt"] = Field(
        default="openai",
        description="`openai` for the OpenAI API, `responses` for any Responses-compatible server, "
        "`chatgpt` for the login of a ChatGPT plan.",
    )
    base_url: str = Field(
        default="https://api.openai.com/v1",
        description="Address up to and without `/responses`; for `chatgpt` up to and without `/codex`, "
        "where `chatgpt.base_url` is the default.",
    )
    auth_file: Path | None = Field(
        default=None,
        description="For `chatgpt`: the `auth.json` of a Codex login that no other program uses. "
        "It is read at the start and never written.",
    )
    api_key: str | None = Field(default=None, repr=False, description="The upstream's key.")
    api_key_env: str | None = Field(default=None, description="Environment variable that holds the key.")
    api_key_file: Path | None = Field(default=None, description="File that holds the key.")
    organization: str | None = Field(default=None, description="Sent as `OpenAI-Organization`.")
    project: str | None = Field(default=None, description="Sent as `OpenAI-Project`.")
    models: list[str] | None = Field(
        default=None, description="Models that this account serves; absent means any name is passed on."
    )
    weight: float = Field(
        default=1.0, ge=0, le=1000, description="Its share of new conversations beside the other accounts."
    )
    priority: int = Field(
        default=0, description="Accounts with a lower one wait until no higher one can be used."
    )
    group: str = Field(default="", max_length=64, description="The group that keys can be bound to.")
    concurrency: int | None = Field(default=None, ge=1, description="Requests in flight at the same time.")

    def _optional(self) -> bool:
        return self.kind in ("responses", "chatgpt")  # local servers often want no key

    @model_validator(mode="after")
    def _login_or_key(self) -> Account:
        if self.kind != "chatgpt":
            if self.auth_file is not None:
                raise ValueError('auth_file goes with kind = "chatgpt" only')
            return self
        if self.auth_file is None:
            raise ValueError('kind = "chatgpt" needs auth_file, the auth.json that `codex login` writes')
        for name in ("api_key", "api_key_env", "api_key_file", "organization", "project"):
            if getattr(self, name) is not None:
                raise ValueError(f'{name} does not go with kind = "chatgpt": its login is in auth_file')
        return self

    @field_validator("base_url")
    @classmethod
    def _http(cls, value: str) -> str:
        return _address(value)

    @field_validator("name", "api_key", "organization", "project")
    @classmethod
    def _sendable(cls, value: str | None) -> str | None:
        return None if value is None else sendable(value)


class ChatGPT(Section):
    """`[chatgpt]`: where accounts of ChatGPT plans are called and logged in, and as whom."""

    base_url: str = Field(
        default="https://chatgpt.com/backend-api", description="Address up to and without `/codex`."
    )
    issuer: str = Field(
        default="https://auth.openai.com", description="The host that logs in and renews tokens."
    )
    client_id: str = Field(
        default="app_EMoamEEZ73f0CkXaXp7hrann",
        min_length=1,
        description="OAuth client of the login; the default is the public one of Codex.",
    )
    originator: str = Field(
        default="dragoman", min_length=1, description="Sent as `originator`: the name of this client."
    )
    client_version: str = Field(
        default="",
        description="Sent as `version`; empty sends this gateway's own. A Codex version where the backend "
        "refuses models to clients that it takes for too old.",
    )

    @field_validator("base_url", "issuer")
    @classmethod
    def _http(cls, value: str) -> str:
        return _address(value)

    @field_validator("client_id", "originator", "client_version")
    @classmethod
    def _sendable(cls, value: str) -> str:
        return sendable(value)


class Key(Secret):
    """`[[keys]]`: one client key."""

    SECRET: ClassVar[str] = "key"

    name: str = Field(min_length=1, max_length=64, description="Name in logs.")
    key: str | None = Field(default=None, repr=False, min_length=8, description="The key itself.")
    key_env: str | None = Field(default=None, description="Environment variable that holds the key.")
    key_file: Path | None = Field(default=None, description="File that holds the key.")
    models: list[str] | None = Field(
        default=None, description="Names or globs this key may request; judged on the requested name."
    )
    default_effort: Effort | None = Field(
        default=None, description="Effort where the request and the alias name none."
    )
    enforced_effort: Effort | None = Field(
        default=None, description="Effort of every request of this key, whatever it asks for."
    )
    max_effort: Effort | None = Field(default=None, description="Highest effort this key may ask for.")
    concurrency: int | None = Field(default=None, ge=1, description="Requests in flight at the same time.")
    account_groups: list[str] | None = Field(
        default=None, description="Groups of accounts that serve this key; absent means every account."
    )
    expires_at: datetime | None = Field(
        default=None, description="When the key ends, for example 2027-01-31T00:00:00Z."
    )
    tags: list[str] = Field(default=[], description="Words to group keys by.")
    limits: list[dict[str, Any]] = Field(
        default=[],
        description="Tables `{ measure, per, max, models }`; see the page on limits.",
    )

    @field_validator("name")
    @classmethod
    def _sendable(cls, value: str) -> str:
        return sendable(value)

    @field_validator("expires_at")
    @classmethod
    def _has_a_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs a time zone, for example 2027-01-31T00:00:00Z")
        return value


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        case_sensitive=False,
    )
    _file: ClassVar[Mapping[str, Any]] = {}

    server: Server = Server()
    upstream: Upstream = Upstream()
    models: dict[str, str] = Field(
        default={}, description="Requested name (exact or glob) = upstream model, optionally `@effort`."
    )
    anthropic: Anthropic = Anthropic()
    cache: Cache = Cache()
    secrets: Secrets = Secrets()
    database: Database = Database()
    admin: Admin = Admin()
    logging: Logging = Logging()
    telemetry: Telemetry = Telemetry()
    prices: dict[str, dict[str, Any]] = Field(
        default={},
        description="Upstream model (exact or glob) = table of USD per million tokens, before the catalogue.",
    )
    chatgpt: ChatGPT = ChatGPT()
    routing: Routing = Routing()
    accounts: list[Account] = Field(default=[], description="The upstreams.")
    keys: list[Key] = Field(default=[], description="The client keys.")

    @field_validator("accounts")
    @classmethod
    def _addresses(cls, rows: list[Account], info: ValidationInfo) -> list[Account]:
        """ChatGPT accounts are at the backend where they name no address; no address is forbidden."""
        chatgpt, upstream = info.data.get("chatgpt"), info.data.get("upstream")
        found = []
        for row in rows:
            if row.kind == "chatgpt" and "base_url" not in row.model_fields_set and chatgpt is not None:
                row = row.model_copy(update={"base_url": chatgpt.base_url})
            allowed = upstream is None or upstream.allow_link_local
            if not allowed and (why := address.forbidden(row.base_url)) is not None:
                raise ValueError(f"{row.name}: base_url: {why}; upstream.allow_link_local permits it")
            found.append(row)
        return found

    @field_validator("chatgpt")
    @classmethod
    def _backend(cls, value: ChatGPT, info: ValidationInfo) -> ChatGPT:
        upstream = info.data.get("upstream")
        for name in ("base_url", "issuer"):
            why = address.forbidden(getattr(value, name))
            if why is not None and (upstream is None or not upstream.allow_link_local):
                raise ValueError(f"{name}: {why}; upstream.allow_link_local permits it")
        return value

    @model_validator(mode="after")
    def _names_are_unique(self) -> Settings:
        for table, rows in (("accounts", self.accounts), ("keys", self.keys)):
            names = [row.name for row in rows]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{table}: the name {min(twice)!r} stands twice")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSource(settings_cls, cls._file)


class _FileSource(PydanticBaseSettingsSource):
    """The parsed file. `[models]` given by the environment replaces the file's table: globs have an order."""

    def __init__(self, settings_cls: type[BaseSettings], table: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._table = table

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._table.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        table = dict(self._table)
        if "models" in self.current_state:
            table.pop("models", None)
        return table


def load(
    config: Path | None = None,
    flags: Mapping[str, Mapping[str, Any]] | None = None,
    variables: Iterable[str | None] = (),
) -> Settings:
    """Reads file, environment and flags into one value.

    `flags` is shaped like the file; `variables` are names that options refer to, so they may begin like ours.
    Raises SettingsError with one line per problem.
    """
    table = sources.read(config) if config is not None else {}
    fields = Settings.model_fields
    wrong = sources.mistyped(table, fields)
    told = [
        *sources.unknown_variables(os.environ, fields, {*sources.referred(table), *filter(None, variables)}),
        *sources.not_json(os.environ, fields),
        *(f"{path}: {why}" for path, why in wrong.items()),
    ]
    source = type("_Settings", (Settings,), {"_file": table, "__module__": __name__})
    try:
        loaded: Settings = source(**{section: dict(keys) for section, keys in (flags or {}).items() if keys})
    except ValidationError as error:
        told += sources.described(error.errors(), fields, besides=set(wrong))
    except ValueError as error:  # the environment holds something that is not JSON
        told = told or [f"environment: {error}"]
    if told:
        raise SettingsError("\n".join(told))
    return loaded


def layers(
    config: Path | None = None, flags: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Mapping[str, Any]]:
    """What each source says by itself, the strongest first: `flag`, `environment`, `file`.

    All are shaped like the file. Raises SettingsError when one cannot be read at all.
    """
    try:
        environment = EnvSettingsSource(Settings)()
    except ValueError as error:
        raise SettingsError(f"environment: {error}") from None
    return {
        "flag": flags or {},
        "environment": environment,
        "file": sources.read(config) if config is not None else {},
    }
