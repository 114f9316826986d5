"""Why a backup was not made, or not put back; the message is a sentence for whoever reads it at night."""

from khaacho.exceptions import KhaachoError


class BackupFailed(KhaachoError):
    """The backup was not made; nothing of it is left."""

    code = "backup_failed"


class NotConfigured(BackupFailed):
    """BACKUP_DIR is not set: there are no backups."""

    code = "backups_not_configured"


class Busy(BackupFailed):
    """Another backup, restore or drill of this database is under way."""

    code = "backup_busy"


class Unreadable(KhaachoError):
    """The backup cannot be read: it is altered, truncated, or encrypted for another key."""

    code = "backup_unreadable"


class RestoreRefused(KhaachoError):
    """Nothing was restored; the database stands as it was."""

    code = "restore_refused"


class DrillFailed(KhaachoError):
    """What the backup holds is not what was written down when it was made."""

    code = "drill_failed"
