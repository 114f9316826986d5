"""First days of Nepali fiscal years (1 Shrawan); staff correct them in the admin."""

import datetime

from django.db import migrations

YEARS = {
    "2080/81": (2023, 7, 17),
    "2081/82": (2024, 7, 16),
    "2082/83": (2025, 7, 17),
    "2083/84": (2026, 7, 17),
    "2084/85": (2027, 7, 17),
    "2085/86": (2028, 7, 16),
    "2086/87": (2029, 7, 16),
    "2087/88": (2030, 7, 17),
}


def add(apps, schema_editor):
    FiscalYear = apps.get_model("orders", "FiscalYear")
    FiscalYear.objects.bulk_create(
        [FiscalYear(name=name, starts_on=datetime.date(*day)) for name, day in YEARS.items()],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_triggers")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
