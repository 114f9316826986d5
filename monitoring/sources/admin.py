"""What the processes published about statements, requests and jobs, row by row; the pages add it up."""

from django.contrib import admin

from khaacho.adminsite import KhaachoModelAdmin, sections
from monitoring.sources.models import OriginSpan, StatementForm, StatementPlace, StatementSpan

ORIGIN = ("kind", "name", "method")


@admin.register(StatementForm)
class StatementFormAdmin(KhaachoModelAdmin):
    list_display = ("fingerprint", "form", "seen_at")
    fieldsets = sections((None, ("fingerprint", "form", "seen_at")))


@admin.register(StatementPlace)
class StatementPlaceAdmin(KhaachoModelAdmin):
    list_display = ("function", "file", "line", "name", "samples", "seen_at")
    fieldsets = sections(
        (None, ("fingerprint", "file", "line", "function", "samples", "seen_at")),
        ("Origin", ORIGIN),
    )


@admin.register(StatementSpan)
class StatementSpanAdmin(KhaachoModelAdmin):
    list_display = ("since", "fingerprint", "name", "calls", "errors", "microseconds")
    deferred = ("buckets",)
    fieldsets = sections(
        (None, ("since", "fingerprint", "calls", "errors", "microseconds", "buckets")),
        ("Origin", ORIGIN),
    )


@admin.register(OriginSpan)
class OriginSpanAdmin(KhaachoModelAdmin):
    list_display = ("since", "kind", "name", "outcome", "ended", "microseconds", "statements")
    deferred = ("buckets",)
    fieldsets = sections(
        (None, ("since", *ORIGIN, "outcome")),
        (
            "Sums",
            ("ended", "microseconds", "statements", "database_microseconds", "buckets"),
        ),
    )
