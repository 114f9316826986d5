"""The API's routes, of which those without a parameter are found by their whole path.

Django tries patterns in turn, level by level: a seventeenth of a list's CPU (docs/adr/0020).
"""

from importlib import import_module
from typing import Any

from django.urls import ResolverMatch, URLResolver
from django.urls.resolvers import RoutePattern


class Remembering(URLResolver):
    """Resolves each path without a parameter once. There are as many as such routes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._known: dict[str, ResolverMatch] = {}

    def resolve(self, path: str) -> ResolverMatch:
        known = self._known.get(path)
        if known is not None:
            return known
        found = super().resolve(path)
        if not found.args and not found.kwargs:
            self._known[path] = found
        return found


def remembering(prefix: str, *modules: str) -> Remembering:
    """Return the routes of these modules below a prefix, tried in this order."""
    patterns: list[Any] = [
        pattern for name in modules for pattern in import_module(name).urlpatterns
    ]
    return Remembering(RoutePattern(prefix), patterns)
