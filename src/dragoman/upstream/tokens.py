"""Offline tokenizers behind the gateway's Counter port: exact where a library is there, else an estimate.

The order is toktok-rs, tiktoken with the vocabulary that lies beside this file, bytes. Nothing is fetched.
A vocabulary takes 60 to 80 MB and a third of a second to load, in which its library lets nothing else run. So
it is loaded in a thread after it was first asked for, in a moment when nobody is served. Until then figures
are estimates, and `exact` says so. Special tokens in texts count as text.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import importlib
import threading
import time
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, Protocol

BYTES_PER_TOKEN = 3.7
VOCABULARY = "o200k_base"
VOCABULARY_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
LOAD_SECONDS = 10.0
# Nobody is served for so long: the pause between two turns of one conversation is no such moment. Where none
# comes it is loaded all the same.
QUIET_SECONDS = 0.5
BUSY_SECONDS = 30.0
LOOK_SECONDS = 0.05
# Texts up to this many characters are counted on the event loop: about 2 ms by the fast library.
INLINE_CHARS = 262_144

# How o200k_base cuts a text before merging bytes; part of the vocabulary's definition.
_LETTERS = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_PATTERN = "|".join(
    (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_LETTERS[0]}]*[{_LETTERS[1]}]+{_CONTRACTION}",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_LETTERS[0]}]+[{_LETTERS[1]}]*{_CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


class Tokenizer(Protocol):
    """What the gateway's Counter port asks for."""

    name: str
    exact: bool

    def count(self, texts: Sequence[str]) -> int: ...


class Bytes:
    """An estimate from the texts' length in UTF-8; never fails, needs nothing."""

    name = "bytes"
    exact = False

    def count(self, texts: Sequence[str]) -> int:
        """Tokens of all texts together, at least 1 for anything that is not empty."""
        return sum(-(-_size(text) * 10 // 37) for text in texts)


class Toktok:
    """toktok-rs: o200k compiled in; releases the interpreter lock while it counts."""

    name = "toktok"
    exact = True

    def __init__(self) -> None:
        """Loads the library and its vocabulary. Raises ImportError where the platform has no wheel."""
        self._count: Callable[..., list[int]] = importlib.import_module("toktok").batch_count
        self.count([""])

    def count(self, texts: Sequence[str]) -> int:
        """Tokens of all texts together."""
        # One thread: the others serve streams, and small batches lose more by handing over than they gain.
        try:
            return sum(self._count(texts, VOCABULARY, 1))
        except UnicodeEncodeError:
            return sum(self._count([_whole(text) for text in texts], VOCABULARY, 1))


class Tiktoken:
    """tiktoken over the vendored vocabulary: OpenAI's own code, about ten times slower."""

    name = "tiktoken"
    exact = True

    def __init__(self) -> None:
        """Loads the library and the vocabulary. Raises ImportError, or ValueError for a damaged file."""
        tiktoken: Any = importlib.import_module("tiktoken")
        self._encoding = tiktoken.Encoding(
            VOCABULARY, pat_str=_PATTERN, mergeable_ranks=vocabulary(), special_tokens={}
        )

    def count(self, texts: Sequence[str]) -> int:
        """Tokens of all texts together."""
        encode = self._encoding.encode_ordinary
        return sum(len(encode(text)) for text in texts)


class Lazy:
    """The best tokenizer there is, loaded in a thread once asked for; estimates until it is there.

    `quiet` says whether nobody is served now. Who waits for it is not kept waiting for such a moment.
    """

    def __init__(
        self,
        candidates: Sequence[Callable[[], Tokenizer]],
        load_seconds: float = LOAD_SECONDS,
        quiet: Callable[[], bool] | None = None,
    ) -> None:
        self._candidates = tuple(candidates)
        self._load_seconds = load_seconds
        self._quiet = quiet
        self._wanted = threading.Event()
        self._asked = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loaded = threading.Event()
        self._use(Bytes())

    def warm(self) -> None:
        """Has it loaded, once; returns at once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._load, name="vocabulary", daemon=True)
                self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Loads and waits for it; whether a vocabulary or its substitute is in place. Blocks its thread."""
        self._wanted.set()
        self.warm()
        return self._loaded.wait(self._load_seconds if seconds is None else seconds)

    def count(self, texts: Sequence[str]) -> int:
        """Tokens of all texts together, by what is loaded now."""
        self._asked = True
        self.warm()
        return self._tokenizer.count(texts)

    async def count_async(self, texts: Sequence[str]) -> int:
        """The same without holding up the event loop, and exact also for the first who asks.

        Waits for the vocabulary within the limit given at construction; long texts are counted in a thread.
        """
        if not self._loaded.is_set():
            await asyncio.to_thread(self.wait)
        if sum(map(len, texts)) <= INLINE_CHARS:
            return self.count(texts)
        return await asyncio.to_thread(self.count, texts)

    def _load(self) -> None:
        if self._quiet is not None:
            self._await_quiet(self._quiet)
        for candidate in self._candidates:
            try:
                self._use(candidate())
                break
            except Exception:
                continue  # a library that cannot be used is as good as none
        self._loaded.set()

    def _await_quiet(self, quiet: Callable[[], bool]) -> None:
        end = time.monotonic() + BUSY_SECONDS
        since = time.monotonic()
        while not self._wanted.wait(LOOK_SECONDS):
            now = time.monotonic()
            # Short requests may come and go between two looks.
            if self._asked or not quiet():
                self._asked, since = False, now
            if now - since >= QUIET_SECONDS or now >= end:
                return

    def _use(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.name, self.exact = tokenizer.name, tokenizer.exact


def offline(quiet: Callable[[], bool] | None = None) -> Lazy:
    """The tokenizer for a running gateway. Nothing is loaded before it is needed or `warm` is called."""
    return Lazy((Toktok, Tiktoken), quiet=quiet)


def vocabulary() -> dict[bytes, int]:
    """The vendored o200k_base vocabulary, token -> rank. Raises ValueError when the file is damaged."""
    packed = resources.files(__package__).joinpath("vocabulary", f"{VOCABULARY}.tiktoken.gz").read_bytes()
    content = gzip.decompress(packed)
    if hashlib.sha256(content).hexdigest() != VOCABULARY_SHA256:
        raise ValueError(f"the vocabulary {VOCABULARY} is damaged")
    decode = base64.b64decode
    return {decode(token): int(rank) for token, rank in (line.split() for line in content.splitlines())}


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _whole(text: str) -> str:
    """Half characters, which an upstream's delta may end in, as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
