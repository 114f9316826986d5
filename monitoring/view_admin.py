"""The four views in the admin: read-only, read once for each page, and honest when they cannot be read."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from khaacho.adminsite import KhaachoModelAdmin, sections
from khaacho.adminsite.columns import EMPTY
from khaacho.adminsite.paginator import BoundedPaginator
from khaacho.adminsite.record_list import RecordList
from khaacho.money import lakh
from monitoring.database import access, statements
from monitoring.database.access import Unavailable
from monitoring.view_models import IndexUsage, MissingIndex, SlowQuery, TableBloat, View

MOST = 1000  # rows of a view that a list reads
SWOLLEN_PERCENT, DEAD_PERCENT = 40, 10  # badges
Column = Callable[[Any], str]


class ReadOncePaginator(BoundedPaginator):
    """Reads a view once, up to 1,000 rows, and cuts its pages out of that."""

    @cached_property
    def rows(self) -> list[Any]:
        return list(self.object_list[:MOST])

    @cached_property
    def count(self) -> int:
        return len(self.rows)

    is_bounded = False

    @property
    def said_count(self) -> str:
        return lakh(self.count)


class ViewList(RecordList):
    paginator: ReadOncePaginator

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows, size = self.paginator.rows, self.list_per_page
        first = (self.page_num - 1) * size
        is_whole = not self.multi_page or (self.show_all and self.can_show_all)
        self.result_list = rows if is_whole else rows[first : first + size]


class ViewAdmin(KhaachoModelAdmin):
    """A page answers 200 with what went wrong and the command that mends it when nothing can be read."""

    paginator = ReadOncePaginator
    change_list_template = "monitoring/view_list.html"
    list_display: ClassVar[tuple[str | Column, ...]]
    sortable_by: ClassVar[tuple[str | Column, ...]]  # type: ignore[assignment]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RecordList]:
        return ViewList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self._read(
            request,
            lambda: super(ViewAdmin, self).changelist_view(
                request, {"remedies": self.remedies(), **(extra_context or {})}
            ),
        )

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._read(
            request, lambda: super(ViewAdmin, self).changeform_view(request, *args, **kwargs)
        )

    def remedies(self) -> list[Unavailable]:
        """Return what is lacking although the view can be read."""
        return []

    def _read(self, request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
        try:
            with access.reading():
                return answer()
        except Unavailable as problem:
            context = {
                **self.admin_site.each_context(request),
                "title": self.opts.verbose_name_plural,
                "opts": self.opts,
                "remedies": [problem],
            }
            return TemplateResponse(request, "monitoring/view_unavailable.html", context)


def size(field: str, label: str) -> Column:
    """Return a column of bytes as people read them, sorted as the number."""

    @admin.display(description=label, ordering=field)
    def show(record: View) -> str:
        value = getattr(record, field)
        return EMPTY if value is None else filesizeformat(value)

    show.__name__ = field
    return show


def took(field: str, label: str) -> Column:
    """Return a column of milliseconds."""

    @admin.display(description=label, ordering=field)
    def show(record: View) -> str:
        return f"{getattr(record, field):,.1f} ms"

    show.__name__ = field
    return show


def badge(level: str, text: str) -> SafeString:
    return format_html('<span class="badge {}">{}</span>', level, text)


MEAN, MAXIMUM, TOTAL = (
    took("mean_exec_time", "mean"),
    took("max_exec_time", "longest"),
    took("total_exec_time", "total"),
)
INDEX_SIZE = size("index_size", "size")
TABLE_SIZE, TOTAL_SIZE = size("table_size", "table"), size("total_size", "with indexes")
FREE = size("estimated_bloat_bytes", "free space (estimate)")


@admin.display(description="statement")
def beginning(query: SlowQuery) -> str:
    return query.query if len(query.query) <= 160 else f"{query.query[:160]}…"


@admin.register(SlowQuery)
class SlowQueryAdmin(ViewAdmin):
    list_display = (beginning, "calls", MEAN, MAXIMUM, TOTAL, "cache_hit", "share")
    sortable_by = ("calls", MEAN, MAXIMUM, TOTAL, "cache_hit", "share")
    ordering = ("-mean_exec_time",)
    fieldsets = sections(
        (None, ("query", "username", "calls", "rows", "rows_per_call")),
        ("Times, ms", ("mean_exec_time", "min_exec_time", "max_exec_time", "stddev_exec_time")),
        ("Cost", ("total_exec_time", "share", "cache_hit", size("temp_bytes_written", "spilled"))),
    )

    def remedies(self) -> list[Unavailable]:
        try:
            statements.require_counting()
        except access.NotCounted as lacking:
            return [lacking]
        return []

    @admin.display(description="found in memory", ordering="cache_hit_pct")
    def cache_hit(self, query: SlowQuery) -> str:
        return EMPTY if query.cache_hit_pct is None else f"{query.cache_hit_pct:.1f} %"

    @admin.display(description="of all time", ordering="total_time_pct")
    def share(self, query: SlowQuery) -> str:
        return EMPTY if query.total_time_pct is None else f"{query.total_time_pct:.1f} %"


@admin.register(IndexUsage)
class IndexUsageAdmin(ViewAdmin):
    list_display = ("index", "table", "key_columns", "index_scans", INDEX_SIZE, "state")
    sortable_by = ("index", "table", "index_scans", INDEX_SIZE)
    list_filter = ("is_valid", "is_unique", "drop_candidate")
    ordering = ("index_scans", "-index_size")
    fieldsets = sections(
        (None, ("index", "schema", "table", "definition", "state")),
        ("Use", ("index_scans", "tuples_read", "tuples_fetched", "last_scan", "counted_since")),
        ("Cost", (INDEX_SIZE,)),
    )

    @admin.display(description="state")
    def state(self, index: IndexUsage) -> str:
        if not index.is_valid:
            return badge("bad", _("invalid: its build failed"))
        if index.drop_candidate:
            return badge("warn", _("unused"))
        return badge("quiet", index.kept_because or _("in use"))


@admin.register(TableBloat)
class TableBloatAdmin(ViewAdmin):
    list_display = (
        "table",
        TABLE_SIZE,
        TOTAL_SIZE,
        "live_tuples",
        "dead_tuples",
        "dead",
        FREE,
        "state",
    )
    sortable_by = ("table", TABLE_SIZE, TOTAL_SIZE, "live_tuples", "dead_tuples", "dead", FREE)
    ordering = ("-total_size",)
    fieldsets = sections(
        (
            None,
            ("table", "schema", TOTAL_SIZE, TABLE_SIZE, INDEX_SIZE, size("toast_size", "TOAST")),
        ),
        ("Rows", ("live_tuples", "dead_tuples", "dead")),
        ("Free space", (FREE, "estimated_bloat_percent", "estimate_note")),
        ("Care", ("last_vacuum", "last_autovacuum", "last_analyze", "last_autoanalyze")),
    )

    @admin.display(description="dead", ordering="dead_tuple_percent")
    def dead(self, table: TableBloat) -> str:
        return f"{table.dead_tuple_percent} %"

    @admin.display(description="state")
    def state(self, table: TableBloat) -> str:
        if table.is_locked:
            return badge("warn", _("locked: sizes as of the last VACUUM"))
        if (table.estimated_bloat_percent or 0) >= SWOLLEN_PERCENT:
            return badge("warn", _("swollen"))
        if table.dead_tuple_percent > DEAD_PERCENT:
            return badge("warn", _("many dead rows"))
        return badge("quiet", table.estimate_note or _("well"))


@admin.register(MissingIndex)
class MissingIndexAdmin(ViewAdmin):
    list_display = (
        "table",
        "seq_scan",
        "seq_tup_read",
        "idx_scan",
        "avg_rows_per_scan",
        TABLE_SIZE,
        "state",
    )
    sortable_by = ("table", "seq_scan", "seq_tup_read", "idx_scan", "avg_rows_per_scan", TABLE_SIZE)
    ordering = ("-seq_tup_read",)
    list_filter = ("has_no_index",)
    fieldsets = sections(
        (None, ("table", "schema", TABLE_SIZE, "live_tuples", "state")),
        ("Reads", ("seq_scan", "seq_tup_read", "avg_rows_per_scan", "idx_scan", "last_seq_scan")),
    )

    @admin.display(description="state")
    def state(self, table: MissingIndex) -> str:
        if table.has_no_index:
            return badge("bad", _("no index at all"))
        return badge("warn", _("mostly read from end to end"))
