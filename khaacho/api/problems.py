"""RFC 9457 problem documents: every error of the API has the same form, and none is HTML."""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from math import ceil
from typing import Any

import psycopg
from django.core import exceptions as django_errors
from django.db import DatabaseError, DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.template import loader
from django.views import defaults
from rest_framework import exceptions as drf_errors
from rest_framework.request import Request

from khaacho import logs
from khaacho.actors import Actor
from khaacho.api.renderers import JSONEncoder
from khaacho.exceptions import Invalid, KhaachoError, RequestInProgress
from khaacho.rollback import run_after_rollback

MEDIA_TYPE = "application/problem+json"
BEARER = 'Bearer realm="khaacho"'
NON_FIELD = "non_field_errors"

log = logging.getLogger(__name__)
rejections = logging.getLogger("khaacho.rejections")
_REJECTED = {401, 403, 422, 429}
ORDERS = "/api/v1/orders/"


@dataclass(frozen=True)
class Problem:
    """What a problem document says. `extra` are members of this kind of problem alone."""

    status: int
    code: str = ""
    detail: str = ""
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> HttpResponse:
        phrase = HTTPStatus(self.status).phrase
        code = self.code or phrase.lower().replace(" ", "_")
        document = {
            **self.extra,
            "type": f"urn:khaacho:problem:{code}",
            "title": phrase,
            "status": self.status,
            "detail": self.detail or f"{HTTPStatus(self.status).description or phrase}.",
            "code": code,
            "errors": self.errors,
            "request_id": logs.request_id.get(),
        }
        text = json.dumps(document, cls=JSONEncoder, ensure_ascii=False)
        return HttpResponse(
            text.encode("utf-8", "replace"),
            status=self.status,
            content_type=MEDIA_TYPE,
            headers=dict(self.headers),
        )


def problem(
    status: int,
    code: str = "",
    detail: str = "",
    *,
    errors: Mapping[str, list[str]] | None = None,
    headers: Mapping[str, str] | None = None,
    **extra: object,
) -> HttpResponse:
    """Return a problem document; code and detail default to the status's own words."""
    return Problem(status, code, detail, errors or {}, extra, headers or {}).response()


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """Answer any exception of a view; DRF calls this outside every transaction of the view."""
    request = context.get("request")
    return answer(error, request._request if isinstance(request, Request) else request)


def answer(error: Exception, request: HttpRequest | None = None) -> HttpResponse:
    """Run what the error left to do after the rollback, log it, and return its problem document."""
    run_after_rollback(error)
    found = describe(error)
    if found.status in _REJECTED or _is_invalid_order(found, request):
        rejections.info("request.rejected", extra=_context(found, request))
    elif found.status >= 500:
        log.error("request.failed", extra=_context(found, request), exc_info=error)
    return found.response()


def describe(error: Exception) -> Problem:
    """Return the problem that an exception stands for; 500 for one that nobody foresaw."""
    for kind, make in _KINDS:
        if isinstance(error, kind):
            return make(error)
    return Problem(500, "internal_error", "Something went wrong on our side.")


def _is_invalid_order(found: Problem, request: HttpRequest | None) -> bool:
    """Whether an order, or a step of one, was refused: its form, its state, a key used twice."""
    return (
        400 <= found.status < 500
        and request is not None
        and request.method == "POST"
        and request.path_info.startswith(ORDERS)
    )


def _context(found: Problem, request: HttpRequest | None) -> dict[str, object]:
    """Fields of the log line; the path without what is asked, the user's id and not the phone."""
    fields: dict[str, object] = {"status": found.status, "code": found.code}
    if request is not None:
        match = request.resolver_match
        user: object = getattr(request, "user", None)
        fields |= {
            "method": request.method,
            "path": request.path,
            "route": match.route if match else "",
            # by type(): the admin's lazy user would look itself up in the database
            "user_id": user.user_id if type(user) is Actor else None,
        }
    return fields


def _khaacho(error: KhaachoError) -> Problem:
    """An error with `retry_after` (seconds) says when to come back."""
    headers = {"WWW-Authenticate": BEARER} if error.status == 401 else {}
    wait = 1 if isinstance(error, RequestInProgress) else getattr(error, "retry_after", 0)
    if wait:
        headers["Retry-After"] = str(wait)
    errors = error.errors if isinstance(error, Invalid) else {}
    return Problem(error.status, error.code, error.message, errors, error.extra, headers)


def _validation(error: drf_errors.ValidationError) -> Problem:
    return Problem(400, "invalid", "The request is malformed.", flatten(error.detail))


def _drf(error: drf_errors.APIException) -> Problem:
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, ceil(wait)))
    code = error.get_codes()
    return Problem(
        error.status_code,
        code if isinstance(code, str) else error.default_code,
        error.detail if isinstance(error.detail, str) else "",
        headers=headers,
    )


def _model_validation(error: django_errors.ValidationError) -> Problem:
    errors = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD: error.messages}
    return Problem(400, "invalid", "The request is malformed.", errors)


def _fixed(status: int, code: str, detail: str = "", retry_after: int = 0) -> Problem:
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    return Problem(status, code, detail, headers=headers)


_INTERNAL = _fixed(500, "internal_error", "Something went wrong on our side.")
_UNAVAILABLE = _fixed(503, "database_unavailable", "The database does not answer.", 5)
_BUSY = _fixed(503, "busy", "Others are changing the same records; try again.", 1)
_TOO_SLOW = _fixed(503, "timeout", "The request took too long and was given up.", 5)
_CONFLICT = _fixed(409, "conflict", "The request contradicts what is stored.")
_OUT_OF_RANGE = _fixed(400, "invalid", "A value is out of range.")
_SQLSTATES = {
    "55P03": _BUSY,  # lock_timeout
    "40P01": _BUSY,  # deadlock
    "40001": _BUSY,  # serialization
    "57014": _TOO_SLOW,  # statement_timeout
    "25P03": _TOO_SLOW,  # idle in transaction
    "25006": _UNAVAILABLE,  # read only
    "23000": _CONFLICT,  # a trigger of ours
    "23503": _CONFLICT,
    "23505": _CONFLICT,
    "23514": _CONFLICT,
    "23P01": _CONFLICT,
}


def _database(error: Exception) -> Problem:
    """Map by SQLSTATE. A constraint met here is a check that a service forgot or lost a race for."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    state = getattr(cause, "sqlstate", None) or ""
    found = _SQLSTATES.get(state)
    if found is None and isinstance(error, DataError | psycopg.DataError):
        found = _OUT_OF_RANGE
    if found is None and (state[:2] in {"08", "53", "57"} or _is_connection_failure(error, state)):
        found = _UNAVAILABLE
    if found in (_CONFLICT, _OUT_OF_RANGE):
        log.error("database.refused", extra={"sqlstate": state}, exc_info=error)
    return found or Problem(500, "internal_error", "Something went wrong on our side.")


def _is_connection_failure(error: Exception, state: str) -> bool:
    """Whether the connection failed: without a SQLSTATE, since no server answered (also the pool)."""
    kinds = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)
    return not state and isinstance(error, kinds)


def _always(found: Problem) -> Callable[[Any], Problem]:
    return lambda _: found


# The first class that matches decides.
_KINDS: tuple[tuple[type[Exception], Callable[[Any], Problem]], ...] = (
    (KhaachoError, _khaacho),
    (drf_errors.ValidationError, _validation),
    (drf_errors.APIException, _drf),
    (Http404, _always(_fixed(404, "not_found", "There is no such record, or it is not yours."))),
    (django_errors.ObjectDoesNotExist, _always(_fixed(404, "not_found"))),
    (
        django_errors.PermissionDenied,
        _always(_fixed(403, "permission_denied", "You may not do this.")),
    ),
    (django_errors.RequestDataTooBig, _always(_fixed(413, "content_too_large"))),
    (
        django_errors.SuspiciousOperation,
        _always(_fixed(400, "invalid", "The request is malformed.")),
    ),
    (django_errors.ValidationError, _model_validation),
    (UnreadablePostError, _always(_fixed(400, "invalid", "The body broke off."))),
    (DatabaseError, _database),
    (InterfaceError, _database),
    (psycopg.Error, _database),
)


def flatten(detail: object, path: str = "") -> dict[str, list[str]]:
    """Return DRF's nested error details by dotted path: `{"items.0.quantity": ["…"]}`."""
    if isinstance(detail, Mapping):
        return _merge((_join(path, str(key)), value) for key, value in detail.items())
    if isinstance(detail, list | tuple):
        nested = [(_join(path, str(i)), v) for i, v in enumerate(detail) if not isinstance(v, str)]
        own = [str(text) for text in detail if isinstance(text, str)]
        return ({path or NON_FIELD: own} if own else {}) | _merge(nested)
    return {path or NON_FIELD: [str(detail)]}


def _join(path: str, key: str) -> str:
    if key == NON_FIELD and path:
        return path
    return f"{path}.{key}" if path else key


def _merge(details: Iterable[tuple[str, object]]) -> dict[str, list[str]]:
    merged: dict[str, list[str]] = {}
    for path, detail in details:
        for key, messages in flatten(detail, path).items():
            merged.setdefault(key, []).extend(messages)
    return merged


def is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_api(request):
        return answer(exception, request)
    return defaults.bad_request(request, exception)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_api(request):
        return answer(exception, request)
    rejections.info("request.rejected", extra=_context(Problem(403, "permission_denied"), request))
    return defaults.permission_denied(request, exception)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_api(request):
        return problem(404, "not_found", "There is nothing at this address.")
    return defaults.page_not_found(request, exception)


def handler500(request: HttpRequest) -> HttpResponseBase:
    """Answer what nobody caught; Django calls this while it handles the exception.

    What passes by itself, such as a database without a free connection, is a 503 that says when to come
    back, on pages too.
    """
    error = sys.exc_info()[1]
    found = describe(error) if isinstance(error, Exception) else _INTERNAL
    if found.status != HTTPStatus.SERVICE_UNAVAILABLE:
        found = _INTERNAL
    if is_api(request):
        return found.response()
    if found is _INTERNAL:
        return defaults.server_error(request)
    seconds = int(found.headers.get("Retry-After", "5"))
    page = loader.get_template("503.html").render({"seconds": seconds})
    return HttpResponse(page, status=found.status, headers=dict(found.headers))
