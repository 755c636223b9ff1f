"""Real Claude Code sessions in parallel on three accounts of ChatGPT plans, two of which have a bad day."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.house import house as started
from tests.support.poolround import ACCOUNTS, Findings, Round, judge

# Quotas that a round moves and does not exhaust: used-percent fields and events are real ones.
QUOTAS = {"primary_quota": 20_000_000, "secondary_quota": 100_000_000}


def play(tmp_path: Path, seconds: float, clients: int) -> Findings:
    """A round in a house of its own, judged."""
    with started(tmp_path / "house", flavour="chatgpt", accounts=ACCOUNTS) as house:
        house.sim.switch(strict_keys=True, codex_item_ids="reject", rate_limits_event=True)
        for name in ACCOUNTS:
            house.sim.account(name, **QUOTAS)
        found = Round(house, tmp_path, clients).play(seconds)
        print(found.told())
        judge(house, found)
    return found


@pytest.mark.timeout(900)
def test_a_minute_on_a_pool_with_a_revoked_an_overloaded_and_a_used_up_account(tmp_path: Path) -> None:
    """reliability S9: no turn fails, every change of account is explained, who stays is warm."""
    found = play(tmp_path, 60.0, 4)
    moves = found.moves()
    assert moves["new"] >= 4 and moves["stayed"] and moves["failover"]
    assert moves["moved"], "whoever was on the revoked account belongs to another one"
    assert {"login", "overloaded", "quota"} <= set(found.causes())
    assert {row["account"] for row in found.rows[: found.calm]} == set(ACCOUNTS)


@pytest.mark.soak
def test_ten_minutes_on_a_pool_keep_memory_flat(tmp_path: Path) -> None:
    """B110: the same for ten minutes; resident memory grows by less than 16 MiB after the first third."""
    found = play(tmp_path, 600.0, 6)
    assert found.moves()["returned"], "whoever stood in gives the session back"
    assert found.slope(1 / 3) < 16, found.memory[:: max(1, len(found.memory) // 50)]
