"""A statement starts at the last balance before its first day, however many entries came since."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes of a live table are built concurrently

    dependencies = [("credit", "0004_account_opens_with_a_reservation")]

    operations = [
        AddIndexConcurrently(
            "creditledger",
            models.Index(
                fields=["account", "-created_at", "-sequence"], name="ledger_account_created_idx"
            ),
        ),
    ]
