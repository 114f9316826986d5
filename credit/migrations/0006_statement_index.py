"""A statement starts at the last balance before its first day, however many entries came since."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes of a live table are built concurrently

    dependencies = [
        ("credit", "0005_entries_are_dated_under_the_lock"),
        ("credit", "0004_staff_list_indexes"),
    ]

    operations = [
        AddIndexConcurrently(
            "creditledger",
            models.Index(
                fields=["account", "-created_at", "-sequence"], name="ledger_account_created_idx"
            ),
        ),
    ]
