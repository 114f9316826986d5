from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # built while the table is in use

    dependencies = [('credit', '0003_triggers')]

    operations = [
        AddIndexConcurrently(
            model_name='creditledger',
            index=models.Index(fields=['-created_at', '-id'], name='ledger_list_idx'),
        ),
    ]
