"""Pages of the admin that are no model's: where they stand in the side bar, who may open them, what the index shows.

    pages.register(Page(name="queue-board", label=_("Queue board"), group=Group.WORK, permissions=(…,)))

Apps call it in their admin.py. The page's own view refuses whoever may not see it: this only hides the way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Label = str | Promise


class Group(Enum):
    """What staff do: the headings of the side bar, in its order."""

    DESK = "desk"
    ORDERS = "orders"
    SHOPS = "shops"
    MONEY = "money"
    CATALOGUE = "catalogue"
    MESSAGES = "messages"
    REPORTS = "reports"
    WORK = "work"
    DATABASE = "database"
    PEOPLE = "people"
    SETTINGS = "settings"
    OTHER = "other"


GROUP_LABELS: dict[Group, Label] = {
    Group.DESK: _("To decide"),
    Group.ORDERS: _("Orders"),
    Group.SHOPS: _("Shops and credit"),
    Group.MONEY: _("Money and dues"),
    Group.CATALOGUE: _("Catalogue"),
    Group.MESSAGES: _("Messages"),
    Group.REPORTS: _("Reports"),
    Group.WORK: _("Jobs"),
    Group.DATABASE: _("Database"),
    Group.PEOPLE: _("People and audit"),
    Group.SETTINGS: _("Settings"),
    Group.OTHER: _("More"),
}


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page by the name of its address; whoever has any of the permissions may open it."""

    name: str
    label: Label
    group: Group
    permissions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the index: `template` shows what `look()` returns, as `it`; for who has all the permissions.

    What it shows is the same for everybody who sees it, and is kept for a minute.
    """

    name: str
    template: str
    permissions: tuple[str, ...]
    look: Callable[[], Any]


_pages: dict[str, Page] = {}
_sections: dict[str, Section] = {}


def register(page: Page) -> None:
    """Show a page in the side bar. A name registered again replaces the former."""
    _pages[page.name] = page


def registered() -> Sequence[Page]:
    return tuple(_pages.values())


def visible(user: Any) -> list[Page]:
    """Return the pages that the user may open."""
    return [page for page in _pages.values() if any(map(user.has_perm, page.permissions))]


def add_section(section: Section) -> None:
    """Show a part on the index."""
    _sections[section.name] = section


def sections_of(user: Any) -> list[Section]:
    return [section for section in _sections.values() if user.has_perms(section.permissions)]
