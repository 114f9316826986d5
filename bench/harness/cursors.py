"""Cursors at a place of our choosing, where walking there page by page would take too long."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.test import RequestFactory
from rest_framework.request import Request

from khaacho.api import keyset


def cursor_at(path: str, terms: tuple[str, ...], values: Sequence[Any]) -> str:
    """Return the cursor that looks on from the row with these values, as a page's `next_cursor` does.

    `path` has the list's filters; `terms` is its order.
    """
    request = Request(RequestFactory().get(path))
    cursor = keyset.Cursor(tuple(values))
    return quote(keyset.encode(cursor, keyset.salt_of(request, terms)), safe="")
