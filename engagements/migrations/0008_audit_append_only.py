"""The audit's time is PostgreSQL's, its list walks indexes, and nothing in it is ever changed or deleted."""

from django.db import migrations, models

# Statement triggers, so that TRUNCATE is refused as well; ALWAYS, so that no session can set them aside by its
# session_replication_role. Only the table's owner can, by ALTER TABLE: an application that must not be able to either
# runs as somebody else (docs/operations.md).
REFUSE = """
CREATE FUNCTION engagements_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only: % is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER engagements_audit_stays BEFORE UPDATE OR DELETE ON engagements_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION engagements_audit_refuse();
CREATE TRIGGER engagements_audit_is_not_emptied BEFORE TRUNCATE ON engagements_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION engagements_audit_refuse();
ALTER TABLE engagements_auditentry ENABLE ALWAYS TRIGGER engagements_audit_stays;
ALTER TABLE engagements_auditentry ENABLE ALWAYS TRIGGER engagements_audit_is_not_emptied;
"""

REFUSE_NO_MORE = """
DROP TRIGGER engagements_audit_is_not_emptied ON engagements_auditentry;
DROP TRIGGER engagements_audit_stays ON engagements_auditentry;
DROP FUNCTION engagements_audit_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("engagements", "0007_operations")]

    operations = [
        migrations.AlterModelOptions(
            name="auditentry",
            options={"ordering": ["-at", "-id"], "verbose_name_plural": "audit entries"},
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="at",
            field=models.DateTimeField(
                db_default=models.Func(function="clock_timestamp", output_field=models.DateTimeField())
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["at", "id"], name="audit_by_time"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["actor", "at", "id"], name="audit_by_actor"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["action", "at", "id"], name="audit_by_action"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["target"], name="audit_by_target", opclasses=["varchar_pattern_ops"]),
        ),
        migrations.RunSQL(REFUSE, REFUSE_NO_MORE),
    ]
