"""Which parts of the store are not well, and why: what `/readyz` names and metrics count."""

from __future__ import annotations

from collections.abc import Callable


class Health:
    """Parts by name (`db_read`, `db_write`, `journal`, `limits_shared`, `leases`).

    `told` is called once a change.
    """

    def __init__(self, told: Callable[[str, str | None], None] = lambda part, why: None) -> None:
        self._ill: dict[str, str] = {}
        self._told = told

    def ill(self, part: str, why: str) -> None:
        """The part does not work; `why` holds no secret."""
        if part not in self._ill:
            self._told(part, why)
        self._ill[part] = why

    def well(self, part: str) -> None:
        """The part works."""
        if self._ill.pop(part, None) is not None:
            self._told(part, None)

    def any_ill(self, parts: frozenset[str]) -> bool:
        """Whether one of these does not work."""
        return not parts.isdisjoint(self._ill)

    @property
    def parts(self) -> dict[str, str]:
        """The parts that are not well, with the reason."""
        return dict(self._ill)
