"""What the admin's own templates ask for: the side bar, the index's sections, filters as pills, the ribbon."""

import hashlib

from django import template
from django.conf import settings
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from khaacho import caches
from khaacho.adminsite import pages
from khaacho.adminsite.side_bar import MINUTE, Shelf, side_bar

register = template.Library()


@register.simple_tag(takes_context=True)
def shelves(context: template.Context) -> list[Shelf]:
    """Return the side bar, once for each page that shows it twice."""
    request = context["request"]
    if not hasattr(request, "_shelves"):
        request._shelves = side_bar(request, context.get("available_apps") or ())
    found: list[Shelf] = request._shelves
    return found


@register.simple_tag
def environment_name() -> str:
    """Return what the ribbon says, such as `staging`; nothing on the real site."""
    name: str = settings.ENVIRONMENT_NAME
    return name


@register.simple_tag(takes_context=True)
def front(context: template.Context) -> list[SafeString]:
    """Return the index's sections that the user may see, each kept for a minute and for each language."""
    return [_shown(section) for section in pages.sections_of(context["request"].user)]


def _shown(section: pages.Section) -> SafeString:
    def compute() -> caches.Page:
        body = render_to_string(section.template, {"it": section.look()}).encode()
        return caches.Page(body, f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"')

    slot = caches.Slot(f"admin index: {section.name}\n{get_language()}", ("admin",), MINUTE)
    page = caches.Visit(slot).page_or(compute)
    return mark_safe(page.body.decode() if page else "")  # noqa: S308 - a template's
