"""What staff see and do about what the top layer keeps."""

from monitoring import advice_admin, queue_admin, report_admin

__all__ = ["advice_admin", "queue_admin", "report_admin"]
