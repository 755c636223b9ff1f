"""The kinds of fields that requests and answers of the admin API are made of.

Times travel as ISO 8601 in UTC, money as USD. Text that is kept or shown holds no control characters.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from dragoman.store.tokens import NAME

NANO = 1_000_000_000

_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
_PRINTABLE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"
_VISIBLE = r"[^\x00-\x20\x7f-\xa0\u2028\u2029]"
# Begins and ends with something visible, and holds no control character.
_TEXT = rf"^{_VISIBLE}(?:{_PRINTABLE}*{_VISIBLE})?$"

# What a text that does not fit its pattern is told; the command line says the same.
PATTERNS = {
    _TEXT: "must be printable characters, without space at the ends",
    f"^{NAME.pattern}$": "must be 1 to 48 letters, digits and . _ @ -",
}

Line = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_TEXT)]
Model = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=_TEXT)]
Login = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Password = Annotated[str, StringConstraints(min_length=8, max_length=256)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


def _a_number(value: object) -> object:
    """A number as it is, never one in quotes or a true."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return value


Number = Annotated[int | float, BeforeValidator(_a_number)]
Role = Literal["admin", "viewer"]
Limit = Annotated[int, Field(ge=1, le=500, description="Rows of a page.")]


class Body(BaseModel):
    """What a request says; a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def _in_reach(value: datetime) -> datetime:
    if abs(value.year - datetime.now(UTC).year) > 100:
        raise ValueError("must lie within a hundred years")
    return value


def _written_out(value: object) -> object:
    """A number is no time, in quotes or not."""
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise ValueError("must be a time such as 2027-01-31T00:00:00Z")


When = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    AfterValidator(_in_reach),
    Field(description="ISO 8601 with a time zone, for example 2027-01-31T00:00:00Z."),
]


def moment(seconds: float | None) -> datetime | None:
    """Epoch seconds as a time in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def at(seconds: float) -> datetime:
    """The same of a time that is always there."""
    return datetime.fromtimestamp(seconds, UTC)


def seconds_of(when: datetime | None) -> float | None:
    """A time in epoch seconds."""
    return None if when is None else when.timestamp()


def usd(nano: int | None) -> float | None:
    """Nano-USD as USD."""
    return None if nano is None else nano / NANO
