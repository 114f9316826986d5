"""What the lists of the admin filter by, each with the order of its list."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('vendors', '0008_vendor_name_ne_idx'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='product',
            index=models.Index(condition=models.Q(('is_active', False)), fields=['-id'], name='product_inactive_idx'),
        ),
        AddIndexConcurrently(
            model_name='vendorproduct',
            index=models.Index(condition=models.Q(('is_available', False)), fields=['-id'], name='offer_unavailable_idx'),
        ),
    ]
