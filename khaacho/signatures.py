"""Signed bodies of webhooks, as Meta signs its own: HMAC-SHA-256 of the raw body under a shared secret."""

import hashlib
import hmac
from collections.abc import Iterable

PREFIX = "sha256="


def sign(body: bytes, secret: str) -> str:
    """Return the value of the header (Meta's is X-Hub-Signature-256) for a raw body."""
    return PREFIX + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_signed(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Whether any of the secrets made the signature, compared in constant time; never without one."""
    given = signature.encode("utf-8", "replace")
    return any(hmac.compare_digest(sign(body, s).encode(), given) for s in secrets if s)
