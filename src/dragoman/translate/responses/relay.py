"""The stream of a Responses upstream on its way to a Responses client: looked at, hardly ever touched.

A frame is what stands between two blank lines. Its name decides what is done with it, by one table; frames
are parsed only where something of them is needed: the end of the answer, and failures. All others go on
byte for byte, also those of types that no table knows. Nothing goes on before the first content, so that a
failure before it leaves no trace. A last event that lacks something of a response is given it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from dragoman.translate.messages import usage as usages
from dragoman.translate.messages.failure import Cause, UpstreamFailure, from_event
from dragoman.translate.responses.failure import PRIVATE, served_elsewhere, to_client
from dragoman.translate.responses.frames import REQUIRED, created_frame, failed_frame, shell
from dragoman.wire import jsonio, sse
from dragoman.wire.errors import Failure
from dragoman.wire.scrub import scrub

# Items are kept as the bytes they came in, for terminal events that bring none; no answer is longer.
KEPT_BYTES = 32 * 1024 * 1024
_HELD = 256  # frames before the first content; a server that sends more means them


class _What(Enum):
    PREAMBLE = 1
    PRIVATE = 2
    ITEM = 3
    END = 4
    FAILURE = 5
    DONE = 6


# What is done with a frame, by its name as the first line has it. A name that is missing here is content.
_FRAMES: dict[bytes, _What] = {
    b"response.created\n": _What.PREAMBLE,
    b"response.queued\n": _What.PREAMBLE,
    b"response.in_progress\n": _What.PREAMBLE,
    b"codex.response.metadata\n": _What.PREAMBLE,
    # Something is to come; there is nothing of it yet.
    b"response.output_item.added\n": _What.PREAMBLE,
    b"response.content_part.added\n": _What.PREAMBLE,
    b"response.reasoning_summary_part.added\n": _What.PREAMBLE,
    # The account's own quota: the client's limits are others.
    b"codex.rate_limits\n": _What.PRIVATE,
    b"response.output_item.done\n": _What.ITEM,
    b"response.completed\n": _What.END,
    b"response.incomplete\n": _What.END,
    b"response.failed\n": _What.FAILURE,
    b"error\n": _What.FAILURE,
}
_EVENT = b"event: "
_OURS = b"response."
_RESPONSE = b'"response":'
_NUMBER = b'"sequence_number":'
_SEQUENCE = re.compile(rb'"sequence_number":\s*(\d{1,9})')
# Failures whose word is ours: a spent quota in the one that ends Codex's turn; an overload in one that does
# not, because Codex gives up on the upstream's own, while another account may have room.
_IN_OUR_WORDS = PRIVATE | {Cause.OVERLOADED}
# By which SDKs know the end of any stream; OpenAI's own ends with its last event.
_DONE = b"[DONE]"
# What of a response is not true any more when it ends.
_PASSING = frozenset({"status", "output", "usage", "completed_at", "service_tier"})


class Relay:
    """Takes the frames of one attempt and gives back those that go to the client.

    `tokens` is the estimate of the prompt, `window` the model's maximum, `now` a clock of epoch seconds.
    `identity` is the id of the response where the upstream has told none, `asked` what the request said of
    the fields of a response; `completes`: an answer that lacks some of them gets them. `others` says whether
    another account may serve now.
    """

    __slots__ = (
        "_asked",
        "_born",
        "_completes",
        "_first",
        "_held",
        "_identity",
        "_items",
        "_kept",
        "_last",
        "_model",
        "_now",
        "_others",
        "_tokens",
        "_window",
        "answering",
        "failure",
        "finished",
        "frames",
        "response",
        "terminal",
        "told",
        "unknown",
    )

    def __init__(
        self,
        model: str,
        *,
        identity: str,
        tokens: int,
        window: int,
        now: Callable[[], float],
        asked: Mapping[str, Any] | None = None,
        completes: bool = True,
        others: Callable[[], bool] = bool,
    ) -> None:
        self._model = model
        self._identity = identity
        self._asked = asked or {}
        self._completes = completes
        self._others = others
        self._tokens = tokens
        self._window = window
        self._now = now
        self._held: list[bytes] = []
        self._items: list[bytes] = []
        self._kept = 0
        self._born = int(now())
        self._first = b""  # the frame that told of the response
        self._last = b""  # the last one with a number
        self.answering = False  # something of this attempt went to the client
        self.finished = False
        self.terminal = False  # the upstream said its last word
        self.frames = 0
        self.response: dict[str, Any] | None = None
        self.failure: UpstreamFailure | None = None
        self.told: Failure | None = None
        self.unknown: Counter[str] = Counter()

    # -- the upstream's side -------------------------------------------------------------------------

    def feed(self, frames: list[bytes]) -> list[bytes]:
        """The frames that go on. What follows the end of the answer is dropped."""
        out: list[bytes] = []
        for frame in frames:
            # The name stands in the first line, as servers write it; a look at it is all most frames get.
            name = frame[7 : frame.find(b"\n") + 1] if frame.startswith(_EVENT) else b""
            what = _FRAMES.get(name)
            if what is None:
                if self.answering and name.startswith(_OURS):
                    out.append(frame)
                    continue
                what = self._unnamed(name, frame)
            if what is None:
                out += self._released()
                out.append(frame)
            elif what is _What.PREAMBLE:
                self._hold(frame, out)
            elif what is _What.ITEM:
                self._keep(frame)
                out += self._released()
                out.append(frame)
            elif what is not _What.PRIVATE:
                self._note_number(out)
                out += self.close() if what is _What.DONE else self._end(frame, what)
                break
        if out:
            self._note_number(out)
            self.frames += len(out)
        return out

    def close(self) -> list[bytes]:
        """The upstream's bytes ended."""
        return self._broken(UpstreamFailure(Cause.CUT))

    def fail(self, failure: Failure) -> list[bytes]:
        """The frames behind which nothing follows: a response that failed, and was told of for that."""
        self.finished = True
        self.told = failure
        if not self.answering:
            begun = self._shell("in_progress")
            return [created_frame(begun, 0), failed_frame(failure, begun, 1)]
        told = self._told_first()
        begun = self._shell("failed")
        for name in ("id", "created_at"):
            if isinstance(told.get(name), type(begun[name])):
                begun[name] = told[name]
        found = _SEQUENCE.search(self._last)
        return [failed_frame(failure, begun, int(found[1]) + 1 if found else 0)]

    # -- what the answer came to ---------------------------------------------------------------------

    @property
    def usage(self) -> usages.Usage:
        """As the upstream reported it; an estimate where an answer ended without a report."""
        if self.response is not None and (found := usages.measured(self.response.get("usage"))) is not None:
            return found
        if not self.answering:
            return usages.NONE
        # A delta is about a token, and an answer is nearly all deltas.
        return usages.estimated(self._tokens, self.frames * usages.BYTES_PER_TOKEN)

    @property
    def stop_reason(self) -> str | None:
        """The response's own status, or the reason why it is incomplete."""
        if self.response is None:
            return None
        details = self.response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        status = self.response.get("status")
        found = reason or status
        return scrub(found)[:64] if isinstance(found, str) else None

    # -- inside --------------------------------------------------------------------------------------

    def _unnamed(self, name: bytes, frame: bytes) -> _What | None:
        """What an unlisted name means before there is content, and what a frame without one holds."""
        if name.startswith(_OURS):
            return None
        if b"." in name:
            return None if self.answering else _What.PREAMBLE
        data = sse.data_of(frame)
        if data is None:  # a comment: a sign of life
            return None if self.answering else _What.PREAMBLE
        if data.startswith(_DONE):
            return _What.DONE
        try:
            event = jsonio.parse_event(data)
        except jsonio.InvalidJson:
            event = None
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str):
            return _What.FAILURE if isinstance(event, dict) and "error" in event else _What.PREAMBLE
        what = _FRAMES.get(kind.encode() + b"\n")
        if what is None and not self.answering and not kind.startswith("response."):
            return _What.PREAMBLE
        return what

    def _hold(self, frame: bytes, out: list[bytes]) -> None:
        """What comes before content waits for it; later it is as good as any other frame."""
        if self.answering:
            out.append(frame)
            return
        self._held.append(frame)
        if len(self._held) > _HELD:
            out += self._released()

    def _released(self) -> list[bytes]:
        """The frames that waited, once."""
        if self.answering:
            return []
        self.answering = True
        held, self._held = self._held, []
        self._first = next((frame for frame in held if _RESPONSE in frame), b"")
        return held

    def _note_number(self, out: list[bytes]) -> None:
        """Remembers the last frame with a number: one of ours behind it goes on counting."""
        for frame in reversed(out):
            if _NUMBER in frame:
                self._last = frame
                return

    def _keep(self, frame: bytes) -> None:
        self._kept += len(frame)
        if self._kept <= KEPT_BYTES:
            self._items.append(frame)

    def _end(self, frame: bytes, what: _What) -> list[bytes]:
        """The last frame: parsed, and whole."""
        self.finished = self.terminal = True
        event = _parsed(frame)
        if event is None:
            return self._broken(UpstreamFailure(Cause.PROTOCOL, "a last event that is no JSON object"))
        response = event.get("response")
        if isinstance(response, dict):
            self.response = response
        if what is _What.FAILURE:
            return self._refused(event, frame)
        if self.response is None:
            return self._broken(UpstreamFailure(Cause.PROTOCOL, "a last event without a response"))
        out = self._released()
        early = event.get("type") == "response.incomplete" or frame.startswith(
            _EVENT + b"response.incomplete\n"
        )
        status = "incomplete" if early else "completed"
        whole = self._whole(self.response, status)
        if whole is not self.response:
            self.response = whole
            frame = sse.encode({**event, "type": f"response.{status}", "response": whole}).removesuffix(
                b"\n\n"
            )
        out.append(frame)
        return out

    def _whole(self, response: dict[str, Any], status: str) -> dict[str, Any]:
        """The response with what it lacks, itself where it lacks nothing: the ChatGPT backend's last event
        has neither the items nor what was told of the response when it began."""
        whole = response
        output = response.get("output")
        if not output and (self._items or output is None):
            whole = {**whole, "output": [item for kept in self._items if (item := _item(kept)) is not None]}
        stated = isinstance(response.get("status"), str)
        if self._completes and not (stated and response.keys() >= REQUIRED):
            told = {name: value for name, value in self._told_first().items() if name not in _PASSING}
            whole = {**self._shell(status), **told, **whole}
            if not stated:
                whole["status"] = status
                if status == "completed":
                    whole.setdefault("completed_at", int(self._now()))
        return whole

    def _shell(self, status: str) -> dict[str, Any]:
        return shell(self._identity, self._born, self._model, status, self._asked)

    def _told_first(self) -> dict[str, Any]:
        """The response as the upstream told of it when it began, as far as it did."""
        event = _parsed(self._first)
        response = None if event is None else event.get("response")
        return response if isinstance(response, dict) else {}

    def _refused(self, event: dict[str, Any], frame: bytes) -> list[bytes]:
        """A failure that the upstream tells of itself: before content it is nobody's business but ours."""
        failure = from_event(event, now=self._now())
        self.failure = failure
        if not self.answering:
            return []
        self.told = to_client(failure, tokens=self._tokens, window=self._window)
        if self._others():
            self.told = served_elsewhere(self.told, failure)
        if failure.cause in _IN_OUR_WORDS or not _clean(event):
            return self.fail(self.told)
        return [frame]

    def _broken(self, failure: UpstreamFailure) -> list[bytes]:
        self.finished = True
        self.failure = failure
        if not self.answering:
            return []
        return self.fail(to_client(failure, tokens=self._tokens, window=self._window))


def _parsed(frame: bytes) -> dict[str, Any] | None:
    data = sse.data_of(frame)
    try:
        event = None if data is None else jsonio.parse_event(data)
    except jsonio.InvalidJson:
        return None
    return event if isinstance(event, dict) else None


def _item(frame: bytes) -> dict[str, Any] | None:
    event = _parsed(frame)
    item = None if event is None else event.get("item")
    return item if isinstance(item, dict) else None


def _clean(event: dict[str, Any]) -> bool:
    """Whether the upstream's words hold nothing that scrubbing would take out."""
    response = event.get("response")
    holder = response if isinstance(response, dict) else event
    error = holder.get("error")
    message = error.get("message") if isinstance(error, dict) else holder.get("message")
    return message is None or (isinstance(message, str) and scrub(message) == message)
