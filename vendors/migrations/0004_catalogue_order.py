from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # built while the table is in use

    dependencies = [('vendors', '0003_storage_settings')]

    operations = [
        AddIndexConcurrently(
            model_name='product',
            index=models.Index(condition=models.Q(('deleted_at', None), ('is_active', True)), fields=['name', 'id'], name='product_name_idx'),
        ),
        AddIndexConcurrently(
            model_name='product',
            index=models.Index(condition=models.Q(('deleted_at', None), ('is_active', True)), fields=['-created_at', '-id'], name='product_created_idx'),
        ),
    ]
