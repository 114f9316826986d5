"""What is kept about the system's own work."""

from django.db import models

from khaacho.enums import Queue


class JobMinute(models.Model):
    """The jobs of a queue that were done in one minute, counted once (monitoring/job_minutes.py).

    `waits` and `runs` say how many lasted how long, by bucket of monitoring/durations.py.
    `deduplicated` sums the requests that were folded into these jobs, `stalled` their expired leases.
    Jobs that finished before `counted_until` are in it; a minute without a job has no row.
    """

    queue = models.CharField(max_length=20, choices=Queue)
    minute = models.DateTimeField()
    counted_until = models.DateTimeField()
    done = models.IntegerField()
    deduplicated = models.IntegerField()
    stalled = models.IntegerField()
    waits = models.JSONField()
    runs = models.JSONField()

    class Meta:
        db_table = "job_minutes"
        constraints = [
            # the figures of a day and the curve of three hours, without the rows; the purge
            models.UniqueConstraint(
                fields=["minute", "queue"],
                include=["done", "deduplicated", "stalled"],
                name="job_minute_once",
            ),
            models.CheckConstraint(condition=models.Q(done__gt=0), name="job_minute_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.queue} {self.minute:%Y-%m-%d %H:%M}"
