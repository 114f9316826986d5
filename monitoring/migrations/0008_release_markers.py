"""The moments of releases, to compare what came before and after them."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True  # of this table: nothing here touches one that is in use

    dependencies = [("monitoring", "0007_history")]

    operations = [
        migrations.CreateModel(
            name="ReleaseMarker",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80, unique=True)),
                ("released_at", models.DateTimeField()),
                ("host", models.CharField(blank=True, db_default="", default="", max_length=80)),
                ("made_by", models.CharField(blank=True, db_default="", default="", max_length=80)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "release_markers",
                "indexes": [models.Index(fields=["released_at"], name="release_moment_idx")],
            },
        ),
        migrations.RunSQL(
            "GRANT SELECT ON release_markers TO pg_read_all_stats;", migrations.RunSQL.noop
        ),
    ]
