from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # built while the table is in use

    dependencies = [('payments', '0002_triggers')]

    operations = [
        AddIndexConcurrently(
            model_name='payment',
            index=models.Index(fields=['-created_at', '-id'], name='payment_list_idx'),
        ),
    ]
