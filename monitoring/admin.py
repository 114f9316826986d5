"""What staff see and do about what the top layer keeps."""

from django.utils.translation import gettext_lazy as _

from khaacho.adminsite import pages
from khaacho.adminsite.side_bar import Badge, add_badge
from monitoring import advice_admin, board, dashboard_page, queue_admin, report_admin, view_admin
from monitoring.alerting import admin as alerting_admin
from monitoring.backups import admin as backups_admin
from monitoring.history import admin as history_admin
from monitoring.maintenance import admin as maintenance_admin
from monitoring.pages.urls import PAGES
from monitoring.sources import admin as sources_admin

__all__ = [
    "advice_admin",
    "alerting_admin",
    "backups_admin",
    "dashboard_page",
    "history_admin",
    "maintenance_admin",
    "queue_admin",
    "report_admin",
    "sources_admin",
    "view_admin",
]

pages.register(
    pages.Page(
        name="queue-board", label=_("Queue board"), group=pages.Group.WORK, permissions=board.SEE
    )
)
add_badge(Badge(entry="queue-board", rows="jobs WHERE state = 'dead'", tone="bad"))
for each in PAGES:
    if each.in_menu:
        pages.register(
            pages.Page(
                name=each.url_name,
                label=each.title,
                group=pages.Group.DATABASE,
                permissions=(each.permission,),
            )
        )
