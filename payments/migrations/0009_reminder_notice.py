"""A reminder belongs to the notice that carried it."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0008_promises_disputes_tasks_notices'),
    ]

    operations = [
        migrations.AlterField(
            model_name='paymentreminder',
            name='state',
            field=models.CharField(choices=[('QUEUED', 'Queued'), ('SENT', 'Sent'), ('SKIPPED', 'Skipped'), ('TASK', 'Task')], default='QUEUED', max_length=7),
        ),
        migrations.AddField(
            model_name='paymentreminder',
            name='notice',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reminders', to='payments.remindernotice'),
        ),
    ]
