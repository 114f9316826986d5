"""The dead-letter queue is read from an index of its own."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False  # an index on a live table is built concurrently
    dependencies = [("khaacho", "0002_triggers")]
    operations = [
        AddIndexConcurrently(
            "job", models.Index(fields=["-id"], name="job_dead_idx", condition=Q(state="dead"))
        ),
    ]
