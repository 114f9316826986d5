"""Signing in: short access tokens that carry the actor, and refresh tokens that rotate.

An access token is a JWT signed with a key derived from SECRET_KEY; reading one costs no query. A
refresh token is random, known to the database by its SHA-256 alone, and good for one use: a second
use revokes its whole family. Expiry is reckoned by PostgreSQL's clock, with a few seconds' leeway
where a web process reads an access token by its own.
"""

import hashlib
import secrets
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils.crypto import salted_hmac

from khaacho import sign_ins, sql, tenants
from khaacho.actors import Actor
from khaacho.enums import Role
from khaacho.exceptions import KhaachoError
from khaacho.models import User
from khaacho.phones import normalise_phone

ALGORITHM = "HS256"
ISSUER = "khaacho"
AUDIENCE = "khaacho-api"
LEEWAY = 5  # seconds between this machine's clock and PostgreSQL's


class TokenRefused(KhaachoError):
    """This token is not valid."""

    code = "token_invalid"
    status = 401


class TokenExpired(TokenRefused):
    """This token has expired."""

    code = "token_expired"


class SignInRefused(KhaachoError):
    """Phone or password is wrong."""

    code = "sign_in_refused"
    status = 401


@dataclass(frozen=True)
class Tokens:
    """What a sign-in hands out; `expires_in` is the access token's life in seconds."""

    access: str
    refresh: str
    expires_in: int
    user: Actor


def sign_in(*, phone: str, password: str, address: str | None) -> Tokens:
    """Return tokens for the active user with this phone and password.

    A wrong password, an unknown phone and an inactive user cost the same and answer alike.
    Raises SignInRefused, TooManyFailures.
    """
    number = normalise_phone(phone)
    attempt = number or phone.strip()[:64]
    sign_ins.record_attempt(phone=attempt, address=address)
    user = User.objects.filter(phone=number).first() if number else None
    if user is None:
        make_password(password)  # as much work as checking one
        raise SignInRefused
    if not user.check_password(password) or not _is_active(user):
        raise SignInRefused
    with transaction.atomic():
        sign_ins.forget(phone=attempt)
        sql.execute("UPDATE users SET last_login = now() WHERE id = %s", [user.pk])
        return issue(user)


def issue(user: User, *, family: uuid.UUID | None = None) -> Tokens:
    """Insert a refresh token, of a new family unless one is given, and return both tokens.

    For callers that have established who the user is, such as a registration. Three queries.
    """
    refresh = secrets.token_urlsafe(32)
    row = sql.fetch_one(
        "INSERT INTO refresh_tokens (family, user_id, digest, expires_at)"
        " VALUES (%s, %s, %s, now() + %s) RETURNING clock_timestamp()",
        [family or uuid.uuid4(), user.pk, _digest(refresh), settings.REFRESH_TOKEN_LIFETIME],
    )
    assert row
    actor = tenants.actor_of(user)
    seconds = int(settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    return Tokens(access_token(actor, now=row[0]), refresh, seconds, actor)


def refresh(token: str) -> Tokens:
    """Use up a refresh token and return new tokens of its family.

    Of several requests with one token exactly one gets here; the others revoke the family.
    Raises TokenRefused.
    """
    with transaction.atomic():
        row = sql.fetch_one(
            "UPDATE refresh_tokens t SET used_at = now() WHERE digest = %s AND used_at IS NULL"
            " AND expires_at > now() AND NOT EXISTS (SELECT FROM refresh_tokens r"
            " WHERE r.family = t.family AND r.revoked_at IS NOT NULL) RETURNING user_id, family",
            [_digest(token)],
        )
        user = User.objects.filter(pk=row[0]).first() if row else None
        if row and user and _is_active(user):
            return issue(user, family=row[1])
    revoke(token)
    raise TokenRefused


def revoke(token: str) -> None:
    """Revoke the whole family of a refresh token; an unknown token is no error. One statement.

    A rotation at this very moment may insert a token that this statement does not see; it is dead
    all the same, since a rotation looks for revoked relatives.
    """
    sql.execute(
        "UPDATE refresh_tokens SET revoked_at = now() WHERE revoked_at IS NULL"
        " AND family = (SELECT family FROM refresh_tokens WHERE digest = %s)",
        [_digest(token)],
    )


def revoke_all(user_id: int) -> None:
    """Revoke every refresh token of a user, as after a change of password."""
    sql.execute(
        "UPDATE refresh_tokens SET revoked_at = now() WHERE revoked_at IS NULL AND user_id = %s",
        [user_id],
    )


def access_token(actor: Actor, *, now: datetime) -> str:
    """Return a JWT that carries the actor from PostgreSQL's `now` for ACCESS_TOKEN_LIFETIME."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(actor.user_id),
        "iat": now,
        "exp": now + settings.ACCESS_TOKEN_LIFETIME,
        "role": actor.role,
        "name": actor.name,
        "retailer_id": actor.retailer_id,
        "vendor_id": actor.vendor_id,
    }
    return jwt.encode(claims, _key(settings.SECRET_KEY), ALGORITHM)


def read_access_token(token: str) -> Actor:
    """Return the actor of an access token, without a query. Raises TokenExpired, TokenRefused."""
    for secret in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]:
        try:
            actor, expires_at = _verified(token, secret)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, ValueError):
            break
        if time.time() > expires_at + LEEWAY:
            raise TokenExpired
        return actor
    raise TokenRefused


def verify(token: str, secret: str) -> tuple[Actor, int]:
    """Return the actor of an access token signed with this secret, and when it expires (Unix time).

    Nothing that depends on the time is looked at. Raises jwt.InvalidTokenError, ValueError.
    """
    claims = jwt.decode(
        token,
        _key(secret),
        algorithms=[ALGORITHM],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"require": ["exp", "sub", "role"], "verify_exp": False, "verify_iat": False},
    )
    return _actor(claims), int(claims["exp"])


_verified = lru_cache(maxsize=4096)(verify)  # a client sends one token many times


def _actor(claims: dict[str, Any]) -> Actor:
    return Actor(
        user_id=int(claims["sub"]),
        role=Role(claims["role"]),
        name=claims.get("name", ""),
        retailer_id=claims.get("retailer_id"),
        vendor_id=claims.get("vendor_id"),
    )


@lru_cache(maxsize=8)
def _key(secret: str) -> bytes:
    """Derive the signing key, so that nothing else signed with SECRET_KEY is a token."""
    return salted_hmac("khaacho.tokens", "access", secret=secret, algorithm="sha256").digest()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _is_active(user: User) -> bool:
    return user.is_active and user.deleted_at is None
