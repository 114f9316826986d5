"""Search of payments by a cheque's or receipt's number."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations
from django.db.models.functions import Upper

REFERENCE = OpClass(Upper("reference"), name="gin_trgm_ops")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("payments", "0004_staff_list_indexes")]
    operations = [
        AddIndexConcurrently("payment", GinIndex(REFERENCE, name="payment_reference_trgm_idx")),
    ]
