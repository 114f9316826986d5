"""Product search by words; the statistics of an index on an expression are made by ANALYZE."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations

import vendors.models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("vendors", "0006_fill_catalogue_words")]
    operations = [
        AddIndexConcurrently(
            "product", GinIndex(vendors.models.ProductWords(), name="product_words_idx")
        ),
        migrations.RunSQL("ANALYZE products", migrations.RunSQL.noop),
    ]
