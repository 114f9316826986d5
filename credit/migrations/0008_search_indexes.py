"""Search of shops by their Nepali name, and of ledger entries by the document's number."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Upper

NAME_NE = OpClass(Upper("shop_name_ne"), name="gin_trgm_ops")
REFERENCE = OpClass("reference", name="varchar_pattern_ops")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("credit", "0007_staff_list_indexes")]
    operations = [
        AddIndexConcurrently("retailer", GinIndex(NAME_NE, name="retailer_name_ne_trgm_idx")),
        AddIndexConcurrently("creditledger", models.Index(REFERENCE, name="ledger_reference_idx")),
    ]
