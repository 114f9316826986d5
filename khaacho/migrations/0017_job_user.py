"""Who asked for a job: a column without a default, so that no row is written anew."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('khaacho', '0016_audit_months'),
    ]

    operations = [
        migrations.AddField(
            model_name='job',
            name='user_id',
            field=models.BigIntegerField(null=True),
        ),
    ]
