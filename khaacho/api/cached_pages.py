"""Views that answer from the cache: after authentication and permissions, before filters and rows.

    @cached_page("catalogue", seconds=HOUR)
    class ProductList(ListAPIView): ...

What is kept is the answer's bytes with its headers, by path, known query parameters and `scope`: nothing
else may decide what a cached view shows. Only 200s are kept, and none inside a transaction. A query
with a parameter that the view does not know is computed each time. Every answer carries a strong ETag,
and a client that has it is answered 304.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from rest_framework.response import Response
from rest_framework.views import APIView

from khaacho.actors import Actor
from khaacho.api.authentication import identify
from khaacho.api.permissions import SignedIn
from khaacho.api.renderers import JSONRenderer
from khaacho.caches import Page, Slot, Visit
from khaacho.tokens import TokenRefused

MINUTE, HOUR = 60, 3600
KEPT_HEADERS = ("Content-Type", "Link")
LIST_PARAMETERS = frozenset({"sort", "limit", "page", "cursor"})
MAX_QUERY = 1000  # characters
MAX_PARAMETERS = 30

V = TypeVar("V", bound=type[APIView])


def everybody(actor: Actor) -> str:
    """The same to all who may see the page."""
    return "all"


def tenant(actor: Actor) -> str:
    """To each shop and wholesaler its own; all employees see the same."""
    if actor.is_staff:
        return "staff"
    return f"retailer:{actor.retailer_id}:vendor:{actor.vendor_id}"


def cached_page(
    *groups: str, seconds: int, scope: Callable[[Actor], str] = everybody
) -> Callable[[V], V]:
    """Make a view's GET answer from the cache, for at most `seconds`.

    `groups` may name the route's ids and the actor's tenant: `product:{product_id}`,
    `credit:{retailer_id}`. The view's permissions must be of our own classes, which say of an actor
    alone what it may. Whoever does not pass them, or wants anything but JSON, is answered by the view.
    """

    def decorate(view_class: V) -> V:
        dispatch = view_class.dispatch
        known = _parameters(view_class)
        permissions = _permissions(view_class)

        def slot_of(request: HttpRequest, route: dict[str, Any]) -> Slot | None:
            query = canonical(request.META.get("QUERY_STRING", ""), known)
            actor = _actor(request)
            if query is None or actor is None or not all(p.allows(actor) for p in permissions):
                return None
            named = {"retailer_id": actor.retailer_id, "vendor_id": actor.vendor_id, **route}
            name = f"{scope(actor)}\n{request.path}\n{query}"
            return Slot(name, tuple(group.format_map(named) for group in groups), seconds)

        @functools.wraps(dispatch)
        def cached(view: APIView, request: HttpRequest, **route: Any) -> HttpResponseBase:
            if request.method not in {"GET", "HEAD"}:
                return dispatch(view, request, **route)
            slot = slot_of(request, route) if _wants_json(request) else None
            return _answered(slot, request, lambda: dispatch(view, request, **route))

        view_class.dispatch = cached  # type: ignore[method-assign, assignment]
        return view_class

    return decorate


def _actor(request: HttpRequest) -> Actor | None:
    try:
        return identify(request)
    except TokenRefused:
        return None


def _wants_json(request: HttpRequest) -> bool:
    accepted = request.META.get("HTTP_ACCEPT", "*/*")
    return "*/*" in accepted or "application/json" in accepted


def _permissions(view_class: type[APIView]) -> list[SignedIn]:
    """Return the view's permissions. Raises TypeError for one that looks at more than the actor."""
    made: list[Any] = [kind() for kind in view_class.permission_classes]
    if not all(isinstance(permission, SignedIn) for permission in made):
        raise TypeError(f"{view_class.__name__} decides by more than the actor")
    return made


def _parameters(view_class: type[APIView]) -> frozenset[str]:
    """Return the query parameters that may change what the view answers."""
    filters = getattr(getattr(view_class, "filterset_class", None), "base_filters", {})
    is_list = getattr(view_class, "pagination_class", None) and hasattr(view_class, "list")
    return frozenset(filters) | (LIST_PARAMETERS if is_list else frozenset())


def canonical(query: str, known: frozenset[str]) -> str | None:
    """Return a query string in one order of its parameters; None for one that is not to be cached."""
    if not query:
        return ""
    return None if len(query) > MAX_QUERY else _in_order(query, known)


@functools.lru_cache(maxsize=4096)
def _in_order(query: str, known: frozenset[str]) -> str | None:
    try:
        given = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return None
    if any(name not in known for name, _ in given):
        return None
    return urlencode(sorted(given, key=lambda pair: pair[0]))


def _answered(
    slot: Slot | None, request: HttpRequest, compute: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    """Answer from the cache, or compute; an answer that is no page is passed on as it is."""
    computed: list[HttpResponseBase] = []

    def page_now() -> Page | None:
        response = compute()
        computed.append(response)
        return as_page(response)

    asked = request.META.get("HTTP_IF_NONE_MATCH", "")
    page = page_now() if slot is None else Visit(slot, asked).page_or(page_now)
    return computed[0] if page is None else answer(page, asked)


def as_page(response: HttpResponseBase) -> Page | None:
    """Return a 200's bytes, which are the answer from now on; None for any other."""
    if response.status_code != 200:
        return None
    body = _body(response)
    kept = [f"{name}: {response[name]}" for name in KEPT_HEADERS if name in response]
    digest = hashlib.blake2b(body, digest_size=16).hexdigest()
    return Page(body, f'"{digest}"', "\n".join(kept))


def _body(response: HttpResponseBase) -> bytes:
    if isinstance(response, StreamingHttpResponse):
        return b"".join(response)
    if isinstance(response, Response):
        response["Content-Type"] = JSONRenderer.media_type
        return bytes(JSONRenderer().render(response.data))
    assert isinstance(response, HttpResponse)
    return response.content


def answer(page: Page, asked: str) -> HttpResponse:
    """Return the page, or 304 to a client whose If-None-Match (`asked`) has it."""
    if asked and has(asked, page.etag):
        response = HttpResponse(status=304)
        del response["Content-Type"]
    else:
        response = HttpResponse(page.body)
        for line in page.headers.splitlines():
            name, _, value = line.partition(": ")
            response.headers[name] = value
    response.headers["ETag"] = page.etag
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Authorization"
    return response


def has(asked: str, etag: str) -> bool:
    """Whether an If-None-Match names the ETag: a list, weak or strong, or `*` (RFC 9110, 13.1.2)."""
    if asked == etag:
        return True
    known = parse_etags(asked)
    return "*" in known or any(each.removeprefix("W/") == etag for each in known)
