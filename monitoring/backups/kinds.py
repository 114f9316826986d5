"""How a backup stands, and how its drill ended."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class BackupState(TextChoices):
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class DrillResult(TextChoices):
    NONE = "", _("None yet")
    PASSED = "passed", _("Passed")
    FAILED = "failed", _("Failed")
