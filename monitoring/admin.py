"""What staff see and do about what the top layer keeps."""

from monitoring import queue_admin, report_admin, view_admin

__all__ = ["queue_admin", "report_admin", "view_admin"]
