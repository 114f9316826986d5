"""Which renderer answers: decided without parsing where there is nothing to decide."""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

ANYTHING = {"", "*/*", "application/json"}


class Negotiation(DefaultContentNegotiation):
    """DRF's, but for the usual case: one renderer, JSON's, and a client that takes anything or JSON."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> Any:
        known = list(renderers)
        if len(known) == 1 and request.META.get("HTTP_ACCEPT", "") in ANYTHING:
            return known[0], known[0].media_type
        return super().select_renderer(request, known, format_suffix)


class OnlyForm(BaseContentNegotiation):
    """There is one form, whatever is asked for."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type
