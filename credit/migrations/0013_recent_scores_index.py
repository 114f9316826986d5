"""The hourly risk review finds the scores that changed since the last one."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes of a live table are built concurrently

    dependencies = [("credit", "0012_explained_scores")]

    operations = [
        AddIndexConcurrently(
            "creditscore",
            models.Index(fields=["-created_at"], name="credit_score_created_idx"),
        ),
    ]
