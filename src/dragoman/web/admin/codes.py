"""Second factors: time-based codes (RFC 6238: SHA-1, 6 digits, 30 seconds) and recovery codes.

Pure arithmetic: the clock comes in as an argument; what was used already is the store's to know.
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20
RECOVERY_CODES = 10
_ISSUER = "dragoman"
# A phone's clock may be half a minute off, and typing takes time.
_DRIFT = (0, -1, 1)


def new_secret() -> bytes:
    """A shared secret."""
    return secrets.token_bytes(SECRET_BYTES)


def spelled(secret: bytes) -> str:
    """The secret as authenticators take it by hand."""
    return base64.b32encode(secret).decode().rstrip("=")


def address(secret: bytes, user: str) -> str:
    """The `otpauth://` address that authenticators read from a picture."""
    return _totp(secret).get_provisioning_uri(user, _ISSUER)


def code_at(secret: bytes, now: float) -> str:
    """The code of a moment in epoch seconds."""
    return _totp(secret).generate(int(now)).decode()


def step_of(secret: bytes, code: str, now: float) -> int | None:
    """The step a code belongs to, at most one away from now; None for a wrong code."""
    digits = code.strip().replace(" ", "")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    step = int(now) // STEP_SECONDS
    found = None
    for drift in _DRIFT:  # all of them, whichever fits
        right = code_at(secret, max(0, (step + drift) * STEP_SECONDS))
        if secrets.compare_digest(right, digits) and found is None:
            found = step + drift
    return found


def new_recovery_codes() -> list[str]:
    """Codes of 50 random bits, in two groups to be read and typed."""
    letters = [base64.b32encode(secrets.token_bytes(7)).decode().lower()[:10] for _ in range(RECOVERY_CODES)]
    return [f"{text[:5]}-{text[5:]}" for text in letters]


def recovery_code(text: str) -> str | None:
    """What was typed in the spelling that codes are kept in; None where it cannot be one."""
    bare = text.strip().replace("-", "").replace(" ", "").lower()
    return f"{bare[:5]}-{bare[5:]}" if len(bare) == 10 and bare.isascii() and bare.isalnum() else None


def _totp(secret: bytes) -> TOTP:
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    return TOTP(secret, DIGITS, SHA1(), STEP_SECONDS)
