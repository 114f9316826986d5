"""What staff list of the whole ledger, and of frozen accounts, comes from an index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False  # an index on a live table is built concurrently
    dependencies = [("credit", "0003_triggers")]
    operations = [
        AddIndexConcurrently(
            "creditledger",
            models.Index(fields=["-created_at", "-id"], name="ledger_created_idx"),
        ),
        AddIndexConcurrently(
            "creditaccount",
            models.Index(fields=["-id"], name="account_frozen_idx", condition=Q(is_frozen=True)),
        ),
    ]
