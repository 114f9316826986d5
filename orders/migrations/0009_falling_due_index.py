"""The daily job finds the dues that have passed their date, and none that it marked before."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes of a live table are built concurrently

    dependencies = [("orders", "0008_numbers_grow")]

    operations = [
        AddIndexConcurrently(
            "order",
            models.Index(
                fields=["due_date", "id"],
                condition=models.Q(
                    due_date__isnull=False,
                    due_amount__gt=0,
                    payment_status__in=["PENDING", "PARTIAL"],
                ),
                name="order_falling_due_idx",
            ),
        ),
    ]
