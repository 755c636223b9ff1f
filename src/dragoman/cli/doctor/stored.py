"""Checks of the store: the file and its tables, the key ring, journals left behind, and whether a key exists.

Nothing is made, changed or taken in.
"""

from __future__ import annotations

from collections.abc import Iterator

from dragoman.cli.doctor.findings import Finding, error, fine, warn
from dragoman.cli.doctor.visit import Visit
from dragoman.serving.configured import is_demo, is_loopback
from dragoman.settings import Settings


def store(visit: Visit) -> Iterator[Finding]:
    """What `dragoman db check` says, and what a start would do about it."""
    if visit.settings is None:
        return
    report = visit.report
    if isinstance(report, str):
        yield error("store", report)
        return
    if report.fresh:
        yield fine("store", f"{report.place} is made at the first start")
    elif not report.findings:
        yield fine("store", f"{report.place}: revision {report.revision}, the secret opens it")
    else:
        told = [sentence for sentence in report.findings if sentence != visit.secret_problem]
        if not told:
            yield fine(
                "store", f"{report.place}: revision {report.revision}; see secret-file for what opens it"
            )
        yield from (_judged(sentence) for sentence in told)
    yield from _keys(visit.settings, report.keys)


def _judged(sentence: str) -> Finding:
    if "journal" in sentence or "processes that died" in sentence:
        return warn("store-journal", sentence)
    return error("store", sentence)


def _keys(settings: Settings, stored: int) -> Iterator[Finding]:
    host = settings.server.host
    if is_loopback(host) or settings.keys or stored or is_demo(settings):
        return
    yield error("open-host", f"server.host {host} is reachable from other machines and no key exists")
