"""Runs the gateway with a profiler inside that two signals start and stop: SIGUSR1 begins, SIGUSR2 writes.

`stacks` samples the main thread's stack every millisecond of processor time: cheap, so that shares are true;
what C code uses counts for the Python function that called it. `calls` is cProfile: it counts every call and
slows small functions most, so its times are only a hint.

    python -m bench.sampler stacks|calls OUTPUT serve --config …
"""

from __future__ import annotations

import cProfile
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Protocol

_MILLISECOND = 0.001


class Profiler(Protocol):
    """Measures between `start` and `write`."""

    def start(self) -> None: ...
    def write(self, path: Path) -> None: ...


class Stacks:
    """A statistical profile, written as collapsed stacks: `outer;inner;innermost count` on each line."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[CodeType, ...]] = Counter()
        signal.signal(signal.SIGPROF, self._sample)

    def start(self) -> None:
        self._seen.clear()
        signal.setitimer(signal.ITIMER_PROF, _MILLISECOND, _MILLISECOND)

    def write(self, path: Path) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        lines = [f"{';'.join(map(_name, reversed(stack)))} {count}" for stack, count in self._seen.items()]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _sample(self, _: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(frame.f_code)
            frame = frame.f_back
        self._seen[tuple(stack)] += 1


class Calls:
    """cProfile, written as its statistics file."""

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def start(self) -> None:
        self._profile.enable()

    def write(self, path: Path) -> None:
        self._profile.disable()
        self._profile.dump_stats(path)


def _name(code: CodeType) -> str:
    return f"{code.co_qualname} ({'/'.join(Path(code.co_filename).parts[-3:])}:{code.co_firstlineno})"


def main() -> None:
    """Takes the place of the `dragoman` command."""
    profiler: Profiler = Stacks() if sys.argv[1] == "stacks" else Calls()
    output = Path(sys.argv[2])
    signal.signal(signal.SIGUSR1, lambda *_: profiler.start())
    signal.signal(signal.SIGUSR2, lambda *_: profiler.write(output))
    sys.argv = ["dragoman", *sys.argv[3:]]

    from dragoman.cli.__main__ import main as command

    command()


if __name__ == "__main__":
    main()
