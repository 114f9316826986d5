"""Numbers for people grow longer when they must; lpad cut them, and the next one was taken already."""

from django.db import migrations

FORWARD = """
ALTER TABLE payments ALTER COLUMN payment_number SET DEFAULT
    ('PAY-' || to_char(now() AT TIME ZONE 'Asia/Kathmandu', 'YYYY') || '-' || to_char(nextval('payment_number_seq'), 'FM999999999990000000'));
"""
REVERSE = """
ALTER TABLE payments ALTER COLUMN payment_number SET DEFAULT
    ('PAY-' || to_char(now() AT TIME ZONE 'Asia/Kathmandu', 'YYYY') || '-' || lpad(nextval('payment_number_seq')::text, 7, '0'));
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0006_list_filter_indexes")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]
