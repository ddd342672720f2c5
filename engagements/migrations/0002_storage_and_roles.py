"""The arrival counter, storage settings of the hot tables, the default channel, the groups behind the API's roles."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = {
    "viewer": ["view_engagement", "view_pipeline", "view_worker", "view_channel", "view_attempt", "view_auditentry"],
    "producer": ["view_engagement", "view_pipeline", "view_channel", "add_engagement"],
}
ROLES["operator"] = [
    *ROLES["viewer"],
    "add_engagement",
    "replay_engagement",
    "operate_pipeline",
    "change_pipeline",
    "add_channel",
    "change_channel",
]

# Small hot rows, rewritten with every delivery: room on the page keeps the updates heap-only, and vacuum comes early.
STORAGE = """
CREATE SEQUENCE engagements_arrival AS bigint;
ALTER TABLE engagements_pipeline SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE engagements_engagement SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE engagements_worker SET (fillfactor = 50);
"""

# Django adds an index for LIKE to every text primary key; under collation "C" the primary key itself serves LIKE.
LIKE_INDEX = "DROP INDEX engagements_pipeline_user_id_9145df1c_like"
LIKE_INDEX_BACK = """
CREATE INDEX engagements_pipeline_user_id_9145df1c_like ON engagements_pipeline (user_id varchar_pattern_ops)
"""

STORAGE_BACK = """
DROP SEQUENCE engagements_arrival;
ALTER TABLE engagements_pipeline RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_analyze_scale_factor);
ALTER TABLE engagements_engagement RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_analyze_scale_factor);
ALTER TABLE engagements_worker RESET (fillfactor);
"""


def create_default_channel(apps: Any, schema_editor: Any) -> None:
    apps.get_model("engagements", "Channel").objects.get_or_create(name="log", defaults={"kind": "log"})


def create_groups(apps: Any, schema_editor: Any) -> None:
    # Permissions are made after all migrations; the groups need them now.
    config = apps.get_app_config("engagements")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="engagements")
    for role, names in ROLES.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=role)
        group.permissions.add(*permissions.filter(codename__in=names))


class Migration(migrations.Migration):
    dependencies = [("engagements", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [
        migrations.RunSQL(STORAGE, STORAGE_BACK),
        migrations.RunSQL(LIKE_INDEX, LIKE_INDEX_BACK),
        migrations.RunPython(create_default_channel, migrations.RunPython.noop),
        migrations.RunPython(create_groups, migrations.RunPython.noop),
    ]
