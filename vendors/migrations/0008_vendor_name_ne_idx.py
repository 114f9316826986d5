"""Search of vendors by their Nepali name."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations
from django.db.models.functions import Upper

NAME_NE = OpClass(Upper("business_name_ne"), name="gin_trgm_ops")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("vendors", "0007_product_words_idx")]
    operations = [
        AddIndexConcurrently("vendor", GinIndex(NAME_NE, name="vendor_name_ne_trgm_idx")),
    ]
