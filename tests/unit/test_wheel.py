"""What is installed is all that is needed, and nothing that only developers read."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_has_the_whole_console(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    folder = ROOT / "src" / "dragoman" / "console"
    wanted = {
        f"dragoman/console/{path.relative_to(folder).as_posix()}"
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".d.ts")
    }
    assert wanted == {name for name in names if name.startswith("dragoman/console/")}
    assert wheel.stat().st_size <= 5_000_000
