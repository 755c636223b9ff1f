"""What clients may ask for: the names that are served here, and the windows behind them. Read-only."""

from __future__ import annotations

from pydantic import BaseModel

from dragoman.translate.models import STANDARD, PublishedModel, described, published
from dragoman.web.admin.routing import House, room, who

router = room("gateway")


class Offer(BaseModel):
    """A name that may be requested, the model that serves it, and that model's window in tokens."""

    name: str
    model: str
    window: int


class Offers(BaseModel):
    """`tiers` are the names for Claude Code's `opus`, `sonnet` and `haiku`, as far as aliases have any."""

    data: list[Offer]
    tiers: dict[str, Offer]


@router.get("/offers", openapi_extra=who("viewer"), summary="Names that clients may request")
async def offers(admin: House) -> Offers:
    """As `/v1/models` lists them for a key without rules."""
    aliases, listed = admin.house.aliases, admin.house.accounts.offered()
    rows = published(aliases, listed)
    tiers: dict[str, Offer] = {}
    for tier, name in STANDARD.items():
        row = described(name, aliases, listed) or next(
            (one for one in rows if one.id.startswith("claude-") and tier in one.id), None
        )
        if row is not None:
            tiers[tier] = _offer(row)
    return Offers(data=[_offer(row) for row in rows], tiers=tiers)


def _offer(row: PublishedModel) -> Offer:
    return Offer(name=row.id, model=row.model, window=row.profile.context_window)
