"""A message may be dropped before it is handed over: what it was about had changed."""

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('whatsapp', '0003_list_filter_indexes'),
    ]

    operations = [
        migrations.AlterField(
            model_name='whatsappmessage',
            name='status',
            field=models.CharField(choices=[('received', 'Received'), ('ignored', 'Ignored'), ('dropped', 'Dropped'), ('queued', 'Queued'), ('sending', 'Sending'), ('unknown', 'Unknown'), ('accepted', 'Accepted'), ('sent', 'Sent'), ('failed', 'Failed'), ('delivered', 'Delivered'), ('read', 'Read')], max_length=9),
        ),
        migrations.RemoveConstraint(
            model_name='whatsappmessage',
            name='message_direction_shape',
        ),
        AddConstraintNotValid(
            model_name='whatsappmessage',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('direction', 'IN'), ('key__isnull', True), ('provider_message_id__isnull', False), ('status__in', ('received', 'ignored'))), models.Q(('conversation__isnull', False), ('direction', 'OUT'), ('key__isnull', False), ('status__in', ('dropped', 'queued', 'sending', 'unknown', 'accepted', 'sent', 'failed', 'delivered', 'read'))), _connector='OR'), name='message_direction_shape'),
        ),
        ValidateConstraint(
            model_name='whatsappmessage',
            name='message_direction_shape',
        ),
    ]
