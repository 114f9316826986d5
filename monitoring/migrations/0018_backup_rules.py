"""Rules about the age of the last backup and of the last drill."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0017_backups'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='alertrule',
            name='alert_rule_measure_known',
        ),
        migrations.AlterField(
            model_name='alertrule',
            name='measure',
            field=models.CharField(choices=[('requests_failed', 'Requests that failed, %'), ('request_p95', '95 % of requests within, ms'), ('jobs_failed', 'Jobs that failed in the last hour, %'), ('queue_waiting', 'Jobs that wait'), ('queue_oldest', 'Oldest waiting job, s'), ('jobs_dead', 'Dead jobs'), ('statement_slower', 'Statement slower since the release, times'), ('replication_lag', 'Replica behind, s'), ('disk_used', 'Disk used, %'), ('ids_used', 'Transaction ids used, %'), ('connections_used', 'Connections used, %'), ('blocked', 'Session waits for a lock, s'), ('backup_age', 'Age of the last backup, h'), ('drill_age', 'Age of the last restore drill, days')], max_length=24),
        ),
        migrations.AddConstraint(
            model_name='alertrule',
            constraint=models.CheckConstraint(condition=models.Q(('measure__in', ['requests_failed', 'request_p95', 'jobs_failed', 'queue_waiting', 'queue_oldest', 'jobs_dead', 'statement_slower', 'replication_lag', 'disk_used', 'ids_used', 'connections_used', 'blocked', 'backup_age', 'drill_age'])), name='alert_rule_measure_known'),
        ),
        migrations.RunSQL(
            migrations.RunSQL.noop,
            "DELETE FROM alert_rules WHERE measure IN ('backup_age', 'drill_age')",
        ),
    ]
