"""What the lists of the admin filter by, each with the order of its list."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('whatsapp', '0002_storage_settings'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='whatsappmessage',
            index=models.Index(condition=models.Q(('status', 'failed')), fields=['-id'], name='message_failed_idx'),
        ),
    ]
