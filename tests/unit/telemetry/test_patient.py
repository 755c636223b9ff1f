"""Log lines never hold anybody up: readers that are slow, stuck or gone, disks that are full."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from dragoman.telemetry.patient import Patient

WAIT = 30.0


def lost(lines: int) -> str:
    return f"{lines} lost\n"


@pytest.fixture
def pipe() -> Iterator[tuple[TextIO, TextIO]]:
    """The reading and the writing end."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as source, os.fdopen(writer, "w") as target:
        yield source, target


def test_a_line_is_there_at_once_where_nothing_blocks(pipe: tuple[TextIO, TextIO]) -> None:
    source, target = pipe
    patient = Patient(target, lost)
    assert patient.write("one\n") == 4
    patient.flush()
    assert source.readline() == "one\n"


def test_an_unread_pipe_holds_nobody_up_and_loses_nothing_below_the_bound(
    pipe: tuple[TextIO, TextIO],
) -> None:
    """The gateway's work may not depend on whether somebody reads its log."""
    source, target = pipe
    patient = Patient(target, lost)
    lines = [f"{number} {'x' * 9000}\n" for number in range(100)]  # far more than a pipe holds
    for line in lines:
        patient.write(line)
    assert [source.readline() for _ in lines] == lines
    patient.finish(WAIT)
    patient.write("after\n")
    assert source.readline() == "after\n"


def test_beyond_the_bound_lines_are_dropped_and_counted(pipe: tuple[TextIO, TextIO]) -> None:
    source, target = pipe
    patient = Patient(target, lost, limit=200_000)
    for number in range(100):
        patient.write(f"{number} {'x' * 9000}\n")
    read: list[str] = []
    while not (read and read[-1].endswith("lost\n")):
        read.append(source.readline())
    *kept, told = read
    assert 0 < len(kept) < 100
    assert [line.split()[0] for line in kept] == [str(number) for number in range(len(kept))]
    assert told == f"{100 - len(kept)} lost\n"


def test_threads_do_not_mix_their_lines(pipe: tuple[TextIO, TextIO]) -> None:
    source, target = pipe
    patient = Patient(target, lost)
    wanted = [f"{letter * 5000}\n" for letter in "abcd" for _ in range(20)]
    threads = [
        threading.Thread(target=lambda x=letter: [patient.write(f"{x * 5000}\n") for _ in range(20)])
        for letter in "abcd"
    ]
    for thread in threads:
        thread.start()
    read = [source.readline() for _ in wanted]
    for thread in threads:
        thread.join(WAIT)
    assert sorted(read) == wanted


def test_a_reader_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as target:
        patient = Patient(target, lost)
        assert patient.write("one\n") == 4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_a_full_disk_is_no_error() -> None:
    with Path("/dev/full").open("w") as target:
        assert Patient(target, lost).write("one\n") == 4


def test_a_file_and_memory_are_written_directly(tmp_path: Path) -> None:
    memory = io.StringIO()
    Patient(memory, lost).write("one\n")
    assert memory.getvalue() == "one\n"
    with (tmp_path / "log").open("w") as target:
        patient = Patient(target, lost)
        patient.write("two\n")
        assert (tmp_path / "log").read_text() == "two\n"
    assert patient.write("closed\n") == 7
