"""Buckets of the rate limits. Unlogged: losing them in a crash fills them, and taking waits for no disk."""

from django.db import migrations, models

UNLOGGED = "ALTER TABLE engagements_ratebucket SET UNLOGGED; ALTER TABLE engagements_ratebucket SET (fillfactor = 50)"


class Migration(migrations.Migration):
    dependencies = [("engagements", "0003_global_pause")]

    operations = [
        migrations.CreateModel(
            name="RateBucket",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        help_text="A hash of whose bucket it is, and of what.", primary_key=True, serialize=False
                    ),
                ),
                ("full_at", models.DateTimeField()),
            ],
        ),
        migrations.RunSQL(UNLOGGED, migrations.RunSQL.noop),
    ]
