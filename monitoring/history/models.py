"""What the history keeps that people write: the moments of releases. Samples are read by SQL alone."""

from django.db import models
from django.db.models.functions import Now

NAME_MAX = 80


class ReleaseMarker(models.Model):
    """The moment at which a release was brought out; `host` and `made_by` say where from, and by whom."""

    name = models.CharField(max_length=NAME_MAX, unique=True)
    released_at = models.DateTimeField()
    host = models.CharField(max_length=NAME_MAX, blank=True, db_default="", default="")
    made_by = models.CharField(max_length=NAME_MAX, blank=True, db_default="", default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "release_markers"
        indexes = [
            # marks of a chart, the marker before and after another
            models.Index(fields=["released_at"], name="release_moment_idx"),
        ]

    def __str__(self) -> str:
        return self.name
