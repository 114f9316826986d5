"""Releases as they were marked, read-only: `manage.py release_marker` makes them."""

from django.contrib import admin

from khaacho.adminsite import KhaachoModelAdmin, sections
from monitoring.history.models import ReleaseMarker


@admin.register(ReleaseMarker)
class ReleaseMarkerAdmin(KhaachoModelAdmin):
    list_display = ("name", "released_at", "host", "made_by")
    ordering = ("-released_at",)
    fieldsets = sections((None, ("name", "released_at", "host", "made_by", "created_at")))
