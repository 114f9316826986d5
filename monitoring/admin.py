"""What staff see and do about what the top layer keeps."""

from django.utils.translation import gettext_lazy as _

from khaacho.adminsite import pages
from khaacho.adminsite.side_bar import Badge, add_badge
from monitoring import board, dashboard_page, queue_admin, report_admin
from monitoring.history import admin as history_admin

__all__ = ["dashboard_page", "history_admin", "queue_admin", "report_admin"]

pages.register(
    pages.Page(
        name="queue-board", label=_("Queue board"), group=pages.Group.WORK, permissions=board.SEE
    )
)
add_badge(Badge(entry="queue-board", rows="jobs WHERE state = 'dead'", tone="bad"))
