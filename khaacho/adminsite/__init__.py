"""What every model's admin is made of: lists, object pages, verbs, panels, timelines."""

from khaacho.adminsite.columns import Column, computed, npr, pretty, scrubbed, sections
from khaacho.adminsite.figures import Figure, add_figure, add_filter
from khaacho.adminsite.filters import OpenFirst, narrowed, one_of, open_first
from khaacho.adminsite.model_admin import KhaachoModelAdmin
from khaacho.adminsite.panels import Panel, add_panel
from khaacho.adminsite.search import (
    Search,
    beginning,
    by_code,
    by_name,
    by_number,
    by_phone,
    by_text,
    exactly,
)
from khaacho.adminsite.timeline import Change, Moment
from khaacho.adminsite.verbs import Verb, add_verb

__all__ = [
    "Change",
    "Column",
    "Figure",
    "KhaachoModelAdmin",
    "Moment",
    "OpenFirst",
    "Panel",
    "Search",
    "Verb",
    "add_figure",
    "add_filter",
    "add_panel",
    "add_verb",
    "beginning",
    "by_code",
    "by_name",
    "by_number",
    "by_phone",
    "by_text",
    "computed",
    "exactly",
    "narrowed",
    "npr",
    "one_of",
    "open_first",
    "pretty",
    "scrubbed",
    "sections",
]
