"""Maintenance that was asked for, as rows; it is asked for and cancelled on the page Maintenance."""

from django.contrib import admin

from khaacho.adminsite import KhaachoModelAdmin, sections
from monitoring.maintenance.runs import MaintenanceRun


@admin.register(MaintenanceRun)
class MaintenanceRunAdmin(KhaachoModelAdmin):
    list_display = ("kind", "target", "state", "requested_by", "started_at", "finished_at")
    list_select_related = ("requested_by",)
    deferred = ("log", "result")
    fieldsets = sections(
        (None, ("kind", "target", "state", "progress", "phase", "requested_by")),
        ("What came of it", ("error", "log", "result")),
        ("Dates", ("created_at", "started_at", "finished_at")),
    )
