"""Ageing reads what is owed from the index of what is owed, and no rows of the table."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes of a live table are built concurrently

    dependencies = [("orders", "0003_fiscal_years")]

    operations = [
        migrations.RenameIndex(
            "order", new_name="order_owing_old_idx", old_name="order_owing_idx"
        ),
        AddIndexConcurrently(
            "order",
            models.Index(
                fields=["retailer", "vendor", "due_date", "id"],
                include=["due_amount"],
                condition=models.Q(due_date__isnull=False, due_amount__gt=0),
                name="order_owing_idx",
            ),
        ),
        RemoveIndexConcurrently("order", "order_owing_old_idx"),
    ]
