"""Every alias has a subject: checked once a statement, where a foreign key asks row by row.

New people come by the ten thousand, and the key's check cost as much as storing their aliases. What it kept is kept:
an alias without a subject is refused, a subject to which one is being added can't go meanwhile, and one that goes takes
its aliases along.
"""

from alembic import op

from governance.adapters.control.database import SCHEMA

revision = "0007"
down_revision = "0006"

_FUNCTIONS = """
CREATE FUNCTION kasbah_control.check_alias_subject() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Those that this transaction made itself can't go before it ends, and needn't be locked.
    PERFORM FROM kasbah_control.subject
        WHERE id IN (SELECT subject FROM fresh) AND xmin <> pg_current_xact_id()::xid FOR KEY SHARE;
    IF EXISTS (SELECT FROM fresh WHERE NOT EXISTS (SELECT FROM kasbah_control.subject WHERE id = fresh.subject)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'an alias has no subject';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION kasbah_control.drop_aliases() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM kasbah_control.alias USING gone WHERE alias.subject = gone.id;
    RETURN NULL;
END $$;
CREATE FUNCTION kasbah_control.refuse_truncation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE feature_not_supported USING MESSAGE = 'subjects are deleted, with their aliases; not truncated';
END $$;
"""

_TRIGGERS = """
CREATE TRIGGER alias_subject_made AFTER INSERT ON kasbah_control.alias REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION kasbah_control.check_alias_subject();
CREATE TRIGGER alias_subject_moved AFTER UPDATE ON kasbah_control.alias REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION kasbah_control.check_alias_subject();
CREATE TRIGGER alias_subject_gone AFTER DELETE ON kasbah_control.subject REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION kasbah_control.drop_aliases();
CREATE TRIGGER alias_subject_truncated BEFORE TRUNCATE ON kasbah_control.subject
    FOR EACH STATEMENT EXECUTE FUNCTION kasbah_control.refuse_truncation();
"""


def upgrade() -> None:
    """Put the triggers in the foreign key's place."""
    op.drop_constraint("alias_subject_fkey", "alias", schema=SCHEMA, type_="foreignkey")
    op.execute(_FUNCTIONS)
    op.execute(_TRIGGERS)
