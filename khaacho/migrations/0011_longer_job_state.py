"""Room for the word "cancelled": PostgreSQL writes no row anew for it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('khaacho', '0010_job_finished_index'),
    ]

    operations = [
        migrations.AlterField(
            model_name='job',
            name='state',
            field=models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('done', 'Done'), ('dead', 'Dead'), ('cancelled', 'Cancelled')], db_default='queued', max_length=9),
        ),
    ]
