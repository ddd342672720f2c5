"""Rollups of what has settled, latencies beside the totals, and when beat was last heard of."""

import django.contrib.postgres.fields
from django.db import migrations, models

# Rewritten every few seconds while their time is counted: room on the page keeps the updates heap-only.
STORAGE = """
ALTER TABLE engagements_rollup SET (fillfactor = 50);
ALTER TABLE engagements_beattick SET (fillfactor = 50);
ALTER TABLE engagements_settledcount SET (fillfactor = 50);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("engagements", "0004_rate_buckets"),
    ]

    operations = [
        migrations.CreateModel(
            name="Rollup",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "width_seconds",
                        "starts_at",
                        "status",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("width_seconds", models.SmallIntegerField()),
                ("starts_at", models.DateTimeField()),
                ("status", models.CharField(max_length=10)),
                ("settled", models.IntegerField()),
                ("late", models.IntegerField()),
                ("latency", django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None)),
            ],
        ),
        migrations.AddField(
            model_name="settledcount",
            name="latency",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(), default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="settledcount",
            name="latency_seconds",
            field=models.FloatField(default=0.0),
        ),
        migrations.CreateModel(
            name="BeatTick",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="beat_tick_is_one")],
            },
        ),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
    ]
