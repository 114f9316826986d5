"""The catalogue by name comes from an index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False  # an index on a live table is built concurrently
    dependencies = [("vendors", "0002_triggers")]
    operations = [
        AddIndexConcurrently(
            "product",
            models.Index(
                fields=["name", "id"],
                name="product_name_idx",
                condition=Q(is_active=True, deleted_at=None),
            ),
        ),
    ]
