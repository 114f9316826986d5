"""Idempotency-Key: one effect and one answer for any number of sends.

    class OrderList(ListAPIView):
        @idempotent(required=True)
        def post(self, request: Request) -> Response: ...

The key is claimed, the effect made and the answer stored in one transaction: a crash anywhere leaves
nothing, a refusal leaves the key free for another try, and an answer that was stored is the answer.
Two sends at once are told apart by an advisory lock, so that the second neither waits nor repeats.
"""

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from khaacho import sql, transactions
from khaacho.api.authentication import caller
from khaacho.api.renderers import JSONEncoder, JSONRenderer
from khaacho.exceptions import (
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    Invalid,
    KhaachoError,
    RequestInProgress,
)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
ATTEMPTS = 3  # of a request whose reads were overtaken
_KEY = re.compile(r"[\x21-\x7e]{1,128}")

Method = TypeVar("Method", bound=Callable[..., HttpResponseBase])


def idempotent(*, required: bool = False) -> Callable[[Method], Method]:
    """Make a POST handler of a view honour Idempotency-Key; `required` refuses requests without one.

    The schema documents the header of a handler decorated so.
    """

    def decorate(handler: Method) -> Method:
        @functools.wraps(handler)
        def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return once(request, lambda: handler(view, request, *args, **kwargs), required=required)

        wrapped.idempotency_key = "required" if required else "optional"  # type: ignore[attr-defined]
        return cast("Method", wrapped)

    return decorate


def once(
    request: Request, handler: Callable[[], HttpResponseBase], *, required: bool = False
) -> HttpResponseBase:
    """Run the handler, or give the answer that this caller's key was given before.

    Without a key the handler runs as it is. With one it runs inside a transaction, which an answer
    other than 2xx rolls back; an error that `is_stale` begins a new one, the key included. Raises IdempotencyKeyMissing, IdempotencyKeyReused (422),
    RequestInProgress (409), Invalid for a key that is not 1-128 visible ASCII characters.
    """
    key = request.headers.get(HEADER)
    if key is None:
        if required:
            raise IdempotencyKeyMissing(f"This request needs an {HEADER} header.")
        return handler()
    if not _KEY.fullmatch(key):
        raise Invalid(f"{HEADER} must be 1 to 128 visible ASCII characters.")
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            with transactions.request():
                return _once(request, key, handler)
        except KhaachoError as error:
            if not (error.is_stale and attempts_left):
                raise
    raise AssertionError("the last attempt returns or raises")


def _once(request: Request, key: str, handler: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    user_id = caller(request).user_id
    claimed = _claim(user_id, key, fingerprint(request))
    return _answer(claimed, handler) if claimed else _replay(user_id, key, request)


def fingerprint(request: Request) -> str:
    """Return what makes two requests the same: method, path, and the body whatever its spacing."""
    body = json.dumps(request.data, sort_keys=True, separators=(",", ":"), cls=JSONEncoder)
    text = f"{request.method}\n{request.path}\n{body}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _claim(user_id: int | None, key: str, digest: str) -> int | None:
    """Insert the key and lock it until the transaction ends; None when it exists or is locked."""
    row = sql.fetch_one(
        "INSERT INTO idempotency_keys (user_id, key, fingerprint) SELECT %s, %s, %s"
        " WHERE pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
        " ON CONFLICT (user_id, key) DO NOTHING RETURNING id",
        [user_id, key, digest, f"idempotency:{user_id}:{key}"],
    )
    return row[0] if row else None


def _answer(row_id: int, handler: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    response = handler()
    if not 200 <= response.status_code < 300:
        transaction.set_rollback(True)
        return response
    answer = _rendered(response)
    sql.execute(
        "UPDATE idempotency_keys SET status = %s, response = %s WHERE id = %s",
        [answer.status_code, answer.content.decode(), row_id],
    )
    return answer


def _replay(user_id: int | None, key: str, request: Request) -> HttpResponse:
    row = sql.fetch_one(
        "SELECT fingerprint, status, response FROM idempotency_keys WHERE user_id = %s AND key = %s",
        [user_id, key],
    )
    if row is None or row[1] is None:
        raise RequestInProgress
    if row[0] != fingerprint(request):
        raise IdempotencyKeyReused
    return _json(row[2].encode(), row[1], {REPLAYED: "true"})


def _rendered(response: HttpResponseBase) -> HttpResponse:
    """Render DRF's answer here, once, so that what is stored is what is sent."""
    if isinstance(response, Response):
        body = b"" if response.data is None else JSONRenderer().render(response.data)
        return _json(body, response.status_code, response.headers)
    if not isinstance(response, HttpResponse):
        raise TypeError("a streamed answer cannot be stored under an idempotency key")
    return response


def _json(body: bytes, status: int, headers: Mapping[str, Any]) -> HttpResponse:
    response = HttpResponse(body, status=status, content_type="application/json")
    for name, value in headers.items():
        if name.lower() != "content-type":
            response[name] = value
    return response
