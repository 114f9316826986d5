"""What staff list of all payments, and of those not processed, comes from an index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False  # an index on a live table is built concurrently
    dependencies = [("payments", "0002_triggers")]
    operations = [
        AddIndexConcurrently(
            "payment",
            models.Index(fields=["-created_at", "-id"], name="payment_created_idx"),
        ),
        AddIndexConcurrently(
            "payment",
            models.Index(
                fields=["payment_status", "-id"],
                name="payment_unusual_idx",
                condition=~Q(payment_status="PROCESSED"),
            ),
        ),
    ]
