"""What staff see and do about what the top layer keeps."""

from monitoring import queue_admin, report_admin, view_admin
from monitoring.history import admin as history_admin

__all__ = ["history_admin", "queue_admin", "report_admin", "view_admin"]
