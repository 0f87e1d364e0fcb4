"""A number that moves whenever something that a process may remember of subjects is no longer so."""

import sqlalchemy as sa
from alembic import op

from governance.adapters.control.database import SCHEMA

revision = "0005"
down_revision = "0004"

_FUNCTIONS = """
CREATE FUNCTION kasbah_control.note_subject_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Once a transaction: a cascade calls this for each row.
    UPDATE kasbah_control.subject_change SET number = number + 1 WHERE xmin <> pg_current_xact_id()::xid;
    RETURN NULL;
END $$;
CREATE FUNCTION kasbah_control.note_alias_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A possible link is noted in the alias's row as well, and changes nothing.
    IF EXISTS (SELECT digest, subject, shared FROM before EXCEPT SELECT digest, subject, shared FROM after) THEN
        UPDATE kasbah_control.subject_change SET number = number + 1 WHERE xmin <> pg_current_xact_id()::xid;
    END IF;
    RETURN NULL;
END $$;
"""

_TRIGGERS = """
CREATE TRIGGER subject_change AFTER UPDATE OR DELETE OR TRUNCATE ON kasbah_control.subject
    FOR EACH STATEMENT EXECUTE FUNCTION kasbah_control.note_subject_change();
CREATE TRIGGER subject_change AFTER DELETE OR TRUNCATE ON kasbah_control.alias
    FOR EACH STATEMENT EXECUTE FUNCTION kasbah_control.note_subject_change();
CREATE TRIGGER alias_change AFTER UPDATE ON kasbah_control.alias
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION kasbah_control.note_alias_change();
CREATE TRIGGER subject_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON kasbah_control.tombstone
    FOR EACH STATEMENT EXECUTE FUNCTION kasbah_control.note_subject_change();
"""


def upgrade() -> None:
    """Make the number, at 0, and what moves it."""
    table = op.create_table(
        "subject_change",
        sa.Column("single", sa.Boolean, sa.CheckConstraint("single", name="subject_change_one_row"), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        schema=SCHEMA,
    )
    op.bulk_insert(table, [{"single": True, "number": 0}])
    op.execute(_FUNCTIONS)
    op.execute(_TRIGGERS)
