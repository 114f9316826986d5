"""All backups as rows; the page Backups shows what matters of them."""

from django.contrib import admin

from khaacho.adminsite import KhaachoModelAdmin, computed, sections
from monitoring.backups.models import Backup
from monitoring.templatetags import quantities


@computed("size")
def _size(backup: Backup) -> str:
    return quantities.size(backup.size)


@admin.register(Backup)
class BackupAdmin(KhaachoModelAdmin):
    list_display = (
        "name",
        "state",
        _size,
        "drill_result",
        "verified_at",
        "uploaded_at",
        "removed_at",
    )
    ordering = ("-id",)
    sortable_by = ()
    fieldsets = sections(
        (None, ("name", "state", "error", _size, "sha256", "row_count", "is_encrypted")),
        ("Where", ("host", "directory", "uploaded_at", "upload_error")),
        ("Drill", ("drill_result", "drilled_at", "drill_seconds", "drill_error", "verified_at")),
        ("Dates", ("snapshot_at", "started_at", "finished_at", "removed_at")),
    )
