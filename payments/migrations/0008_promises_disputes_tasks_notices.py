"""What stops reminders, what staff do about late dues, and the one message a day."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('credit', '0011_numbers_grow'),
        ('orders', '0008_numbers_grow'),
        ('payments', '0007_numbers_grow'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='InvoiceDispute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(max_length=300)),
                ('opened_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('resolution', models.CharField(blank=True, default='', max_length=300)),
                ('resolved_at', models.DateTimeField(blank=True, null=True)),
                ('opened_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('order', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='orders.order')),
                ('resolved_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('retailer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='credit.retailer')),
            ],
            options={
                'db_table': 'invoice_disputes',
                'indexes': [
                    models.Index(condition=models.Q(('resolved_at__isnull', True)), fields=['-id'], name='dispute_open_idx'),
                    models.Index(condition=models.Q(('resolved_at__isnull', False)), fields=['-id'], name='dispute_resolved_idx'),
                    models.Index(fields=['order'], name='dispute_order_idx'),
                ],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='dispute_has_reason'),
                    models.CheckConstraint(condition=models.Q(models.Q(('resolution', ''), ('resolved_at__isnull', True)), models.Q(('resolved_at__isnull', False), models.Q(('resolution', ''), _negated=True)), _connector='OR'), name='dispute_resolved_is_whole'),
                    models.UniqueConstraint(condition=models.Q(('resolved_at__isnull', True)), fields=('order',), name='dispute_open_once_per_order'),
                ],
            },
        ),
        migrations.CreateModel(
            name='PaymentPromise',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', models.DecimalField(decimal_places=2, max_digits=14)),
                ('until', models.DateField()),
                ('note', models.CharField(blank=True, default='', max_length=300)),
                ('state', models.CharField(choices=[('OPEN', 'Open'), ('KEPT', 'Kept'), ('BROKEN', 'Broken'), ('CANCELLED', 'Cancelled')], default='OPEN', max_length=9)),
                ('reason', models.CharField(blank=True, default='', max_length=300)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('made_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('order', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='promises', to='orders.order')),
                ('retailer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='promises', to='credit.retailer')),
            ],
            options={
                'db_table': 'payment_promises',
                'indexes': [
                    models.Index(fields=['state', '-id'], name='promise_state_idx'),
                    models.Index(condition=models.Q(('order__isnull', False)), fields=['order'], name='promise_order_idx'),
                ],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='promise_amount_positive'),
                    models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', True), ('state', 'OPEN')), models.Q(models.Q(('state', 'OPEN'), _negated=True), ('closed_at__isnull', False)), _connector='OR'), name='promise_closed_has_time'),
                    models.CheckConstraint(condition=models.Q(models.Q(('state', 'CANCELLED'), _negated=True), models.Q(('reason', ''), _negated=True), _connector='OR'), name='promise_cancel_has_reason'),
                    models.UniqueConstraint(condition=models.Q(('order__isnull', False), ('state', 'OPEN')), fields=('order',), name='promise_open_once_per_order'),
                    models.UniqueConstraint(condition=models.Q(('order__isnull', True), ('state', 'OPEN')), fields=('retailer',), name='promise_open_once_per_shop'),
                ],
            },
        ),
        migrations.CreateModel(
            name='CollectionTask',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('CALL', 'Call the shop'), ('COLLECTOR', 'Send a collector'), ('REVIEW', 'Review for write-off'), ('PROMISE', 'A promise was broken')], max_length=9)),
                ('state', models.CharField(choices=[('OPEN', 'Open'), ('DONE', 'Done'), ('VOID', 'Void')], default='OPEN', max_length=4)),
                ('outcome', models.CharField(blank=True, default='', max_length=300)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('done_at', models.DateTimeField(blank=True, null=True)),
                ('done_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('order', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='collection_tasks', to='orders.order')),
                ('retailer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='collection_tasks', to='credit.retailer')),
                ('promise', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='task', to='payments.paymentpromise')),
            ],
            options={
                'db_table': 'collection_tasks',
                'indexes': [
                    models.Index(fields=['state', '-id'], name='task_state_idx'),
                    models.Index(fields=['kind', '-id'], name='task_kind_idx'),
                ],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('kind', 'PROMISE'), _negated=True), fields=('order', 'kind'), name='task_once_per_level'),
                    models.CheckConstraint(condition=models.Q(models.Q(('kind', 'PROMISE'), ('promise__isnull', False)), models.Q(models.Q(('kind', 'PROMISE'), _negated=True), ('order__isnull', False), ('promise__isnull', True)), _connector='OR'), name='task_is_about_something'),
                    models.CheckConstraint(condition=models.Q(models.Q(('done_at__isnull', True), ('state', 'OPEN')), models.Q(models.Q(('state', 'OPEN'), _negated=True), ('done_at__isnull', False), models.Q(('outcome', ''), _negated=True)), _connector='OR'), name='task_done_has_outcome'),
                ],
            },
        ),
        migrations.CreateModel(
            name='ReminderNotice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('amount', models.DecimalField(decimal_places=2, max_digits=14)),
                ('state', models.CharField(choices=[('QUEUED', 'Queued'), ('SENT', 'Sent'), ('DROPPED', 'Dropped')], default='QUEUED', max_length=7)),
                ('reason', models.CharField(blank=True, default='', max_length=200)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('retailer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='notices', to='credit.retailer')),
            ],
            options={
                'db_table': 'reminder_notices',
                'indexes': [
                    models.Index(fields=['state', '-id'], name='notice_state_idx'),
                ],
                'constraints': [
                    models.UniqueConstraint(fields=('retailer', 'day'), name='notice_once_a_day'),
                    models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='notice_amount_positive'),
                    models.CheckConstraint(condition=models.Q(models.Q(('confirmed_at__isnull', False), ('sent_at__isnull', False), ('state', 'SENT')), models.Q(models.Q(('state', 'SENT'), _negated=True), ('sent_at__isnull', True)), _connector='OR'), name='notice_sent_was_confirmed'),
                    models.CheckConstraint(condition=models.Q(models.Q(('state', 'DROPPED'), _negated=True), models.Q(('reason', ''), _negated=True), _connector='OR'), name='notice_drop_has_reason'),
                ],
            },
        ),
    ]
