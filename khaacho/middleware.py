"""What every request needs: an id, a bound on its time in Redis, an answer in the API's form whatever went wrong."""

import logging
import re
import secrets
from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.gzip import GZipMiddleware
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from whitenoise.middleware import WhiteNoiseMiddleware

from khaacho import cache_budget, logs, origins
from khaacho.api import problems

log = logging.getLogger("khaacho.requests")
Handler = Callable[[HttpRequest], HttpResponseBase]
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NUMBER = re.compile(
    r"[0-9._-]{7,}|ey[JA-Z][A-Za-z0-9._-]+"
)  # may be a phone or a token: both stay out of logs
# What asks much more than it changes is not logged, unless it is slow, refused or fails.
_UNLOGGED: frozenset[str | None] = {
    "none": origins.METHODS | {None},
    "writes": frozenset({"GET", "HEAD", "OPTIONS", None}),
    "all": frozenset[str | None](),
}[settings.LOG_REQUESTS]
# What a page may load and who may show it; nothing inline, no data: addresses (docs/adr/0031-theme.md).
PAGE_POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
_SQUEEZED = ("text/html", "text/javascript")
_KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")


def request_id(get_response: Handler) -> Handler:
    """Take X-Request-ID when it is harmless, else make one; answer with it and log with it.

    What the request does below, it does as an origin of its own (khaacho/origins.py).
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        is_safe = _SAFE_ID.fullmatch(given) and not _NUMBER.fullmatch(given)
        value = given if is_safe else secrets.token_hex(16)
        begun = perf_counter()
        origin = origins.Origin(request=request)
        token, outer = logs.request_id.set(value), origins.current.set(origin)
        try:
            with cache_budget.of_request():
                response = get_response(request)
            if request.method not in _UNLOGGED:
                _tell(request, response, begun)
        finally:
            origins.current.reset(outer)
            logs.request_id.reset(token)
        response["X-Request-ID"] = value
        origins.answered(origin, begun, response)
        return response

    return middleware


def _tell(request: HttpRequest, response: HttpResponseBase, begun: float) -> None:
    """Log that a request was answered, so that its id leads to a route and a user."""
    match, origin = request.resolver_match, origins.current.get()
    log.info(
        "request.answered",
        extra={
            "method": request.method,
            "route": match.route if match else "",
            "status": response.status_code,
            "ms": round((perf_counter() - begun) * 1000, 2),
            "statements": origin.statements,
        },
    )


class APIErrors:
    """Let nothing but problem documents leave API paths: no HTML, no traceback, in debug mode either.

    It does for the API what CommonMiddleware does for pages; what it refuses itself is not framed either.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not problems.is_api(request):
            return self.get_response(request)
        response = self._misread(request) or self.get_response(request)
        if response.status_code >= 400 and _is_html(response):
            kept = {name: response[name] for name in _KEPT_HEADERS if name in response}
            response = problems.problem(response.status_code, headers=kept)
        if isinstance(response, HttpResponse) and "Content-Length" not in response.headers:
            response.headers["Content-Length"] = str(len(response.content))
        response.headers.setdefault("X-Frame-Options", settings.X_FRAME_OPTIONS)
        return response

    def _misread(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse what would be read as something else. Raises DisallowedHost."""
        request.get_host()
        if "%00" in request.META.get("QUERY_STRING", "") or "\0" in request.path_info:
            return problems.problem(400, "invalid", "The address contains a NUL character.")
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            # WSGI reads no further than Content-Length: such a body would pass for an empty one
            return problems.problem(411, "length_required", "Send the body with Content-Length.")
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer what a view that is not DRF's raised."""
        return problems.answer(error, request) if problems.is_api(request) else None


def _is_html(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "").startswith("text/html")


api_errors = APIErrors


class _PagesOnly:
    """Django's middleware for pages: the API has no session, and does not pay for one.

    Of several in a row the first leads an API request past all of them.
    """

    def __init__(self, get_response: Handler) -> None:
        super().__init__(get_response)  # type: ignore[call-arg] # of the class beside
        beyond: Any = get_response
        while isinstance(inner := getattr(beyond, "__wrapped__", None), _PagesOnly):
            beyond = inner.past_pages
        self.past_pages: Handler = beyond

    def __call__(self, request: HttpRequest) -> Any:
        if problems.is_api(request):
            return self.past_pages(request)
        return super().__call__(request)  # type: ignore[misc]


class _Policy:
    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if _is_html(response):
            response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
        return response


class PagePolicy(_PagesOnly, _Policy):
    """Send a strict Content-Security-Policy with every page that has none of its own."""


class PageGzip(_PagesOnly, GZipMiddleware):
    """Compress pages and their scripts; files to keep, such as reports, go as they are."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if not response.headers.get("Content-Type", "").startswith(_SQUEEZED):
            return response
        return super().process_response(request, response)


class PageLanguage(_PagesOnly, LocaleMiddleware):
    """Speak the visitor's language on pages alone; the thread's next request begins with the site's."""

    def __call__(self, request: HttpRequest) -> Any:
        if problems.is_api(request):
            return self.past_pages(request)
        with translation.override(translation.get_language()):
            return super().__call__(request)


class PageCommon(_PagesOnly, CommonMiddleware):
    pass


class PageFiles(_PagesOnly, WhiteNoiseMiddleware):  # type: ignore[misc] # whitenoise is untyped
    pass


class PageSessions(_PagesOnly, SessionMiddleware):
    pass


class PageAuthentication(_PagesOnly, AuthenticationMiddleware):
    pass


class PageMessages(_PagesOnly, MessageMiddleware):
    pass
