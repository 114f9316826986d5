"""What staff see and do about what the top layer keeps."""

from monitoring import report_admin

__all__ = ["report_admin"]
