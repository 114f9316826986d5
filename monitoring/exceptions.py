from khaacho.exceptions import Conflict, KhaachoError, Refused


class ReportNotReady(Conflict):
    """The report has no file: it is not done."""

    code = "report_not_ready"


class ReportExpired(KhaachoError):
    """The report's file is no longer kept; ask for a new one."""

    code = "report_expired"
    status = 410


class ReportTooLong(Refused):
    """The report is too long in this form."""

    code = "report_too_long"


class ReportCancelled(KhaachoError):
    """The report was cancelled while it was made."""

    code = "report_cancelled"
    status = 409


class ReleaseMarked(Conflict):
    """The release is marked at another time already."""

    code = "release_marked"
