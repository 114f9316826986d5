"""A scoring says whether it is provisional and what caps it; a change of a limit, whether the score made it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("credit", "0011_numbers_grow")]

    operations = [
        migrations.AddField(
            "creditscore",
            "is_provisional",
            models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            "creditscore", "cap", models.SmallIntegerField(blank=True, null=True)
        ),
        migrations.AddField(
            "limitchange", "is_automatic", models.BooleanField(db_default=False, default=False)
        ),
    ]
