"""Reports that staff and the month ask for, and their files as chunks of bytes, which go with them.

Workbooks and PDFs are compressed already: PostgreSQL does not try again.
"""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


FORWARD = """
CREATE TABLE report_files (
    report_id bigint NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    number integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (report_id, number),
    CONSTRAINT report_file_number CHECK (number >= 0),
    CONSTRAINT report_file_chunk CHECK (octet_length(content) BETWEEN 1 AND 1048576)
);
ALTER TABLE report_files ALTER COLUMN content SET STORAGE EXTERNAL;
"""
REVERSE = "DROP TABLE report_files;"


class Migration(migrations.Migration):
    initial = True  # of these tables: nothing here touches one that is in use

    dependencies = [
        ('monitoring', '0001_job_minutes'),
        ('credit', '0011_numbers_grow'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Report',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('CREDIT_SUMMARY', 'Credit Summary'), ('PURCHASE_VOLUME', 'Purchase Volume'), ('PAYMENT_DISCIPLINE', 'Payment Discipline'), ('OUTSTANDING_LIABILITY', 'Outstanding Liability'), ('STATEMENT', 'Statement')], max_length=21)),
                ('format', models.CharField(choices=[('json', 'JSON'), ('csv', 'CSV'), ('xlsx', 'XLSX'), ('pdf', 'PDF')], max_length=4)),
                ('filters', models.JSONField(default=dict)),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], db_default='queued', default='queued', max_length=9)),
                ('progress', models.SmallIntegerField(db_default=0, default=0)),
                ('row_count', models.IntegerField(blank=True, null=True)),
                ('size', models.BigIntegerField(blank=True, null=True)),
                ('file_name', models.CharField(blank=True, db_default='', default='', max_length=120)),
                ('sha256', models.CharField(blank=True, db_default='', default='', max_length=64)),
                ('error', models.CharField(blank=True, db_default='', default='', max_length=2000)),
                ('job_id', models.BigIntegerField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('requested_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('retailer', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='credit.retailer')),
            ],
            options={
                'db_table': 'reports',
                'indexes': [models.Index(models.OrderBy(models.F('created_at'), descending=True), models.OrderBy(models.F('id'), descending=True), name='report_created_idx'), models.Index(fields=['requested_by', '-created_at', '-id'], name='report_asker_idx'), models.Index(condition=models.Q(('retailer__isnull', False)), fields=['retailer', '-id'], name='report_retailer_idx'), models.Index(fields=['state', '-id'], name='report_state_idx'), models.Index(fields=['kind', '-id'], name='report_kind_idx'), models.Index(condition=models.Q(('state', 'done')), fields=['expires_at'], name='report_expires_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['CREDIT_SUMMARY', 'PURCHASE_VOLUME', 'PAYMENT_DISCIPLINE', 'OUTSTANDING_LIABILITY', 'STATEMENT'])), name='report_kind_known'), models.CheckConstraint(condition=models.Q(('format__in', ['json', 'csv', 'xlsx', 'pdf'])), name='report_format_known'), models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'running', 'done', 'failed', 'cancelled'])), name='report_state_known'), models.CheckConstraint(condition=models.Q(('progress__range', (0, 100))), name='report_progress'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'STATEMENT'), ('retailer__isnull', False)), models.Q(models.Q(('kind', 'STATEMENT'), _negated=True), ('retailer__isnull', True)), _connector='OR'), name='report_statement_has_retailer'), models.CheckConstraint(condition=models.Q(('state__in', ('queued', 'running')), ('finished_at__isnull', False), _connector='OR'), name='report_end_has_time'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'done'), _negated=True), models.Q(('expires_at__isnull', False), ('progress', 100), ('row_count__isnull', False), ('size__isnull', False), models.Q(('sha256', ''), _negated=True), models.Q(('file_name', ''), _negated=True)), _connector='OR'), name='report_done_has_file'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'failed'), _negated=True), models.Q(('error', ''), _negated=True), _connector='OR'), name='report_failed_says_why'), models.UniqueConstraint(condition=models.Q(('state__in', ('queued', 'running'))), fields=('requested_by', 'kind', 'format', 'filters'), name='report_open_once', nulls_distinct=False)],
            },
        ),
        migrations.RunSQL(FORWARD, REVERSE),
    ]
