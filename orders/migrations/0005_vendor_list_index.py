from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # built while the table is in use

    dependencies = [('orders', '0004_storage_settings')]

    operations = [
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(fields=['vendor', '-created_at', '-id'], name='order_vendor_list_idx'),
        ),
    ]
