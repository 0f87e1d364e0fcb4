"""Tables of the subjects, their epochs and the leases."""

import sqlalchemy as sa
from alembic import op

from governance.adapters.control.database import SCHEMA

revision = "0002"
down_revision = "0001"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make them."""
    _epochs()
    _subjects()
    _aliases()
    op.create_table(
        "lease",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("began_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        schema=SCHEMA,
    )
    running = sa.column("ended_at").is_(None)
    op.create_index("lease_running", "lease", ["expires_at"], schema=SCHEMA, postgresql_where=running)
    op.create_index("lease_began", "lease", ["began_at"], schema=SCHEMA)


def _epochs() -> None:
    op.create_table(
        "epoch",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("key_uri", sa.Text),
        sa.Column("wrapped_key", sa.LargeBinary),
        sa.Column("lookup_key_uri", sa.Text),
        sa.Column("wrapped_lookup_key", sa.LargeBinary),
        sa.Column("opened_at", _MOMENT),
        sa.Column("closed_at", _MOMENT),
        sa.Column("proven_at", _MOMENT),
        sa.Column("destroyed_at", _MOMENT),
        sa.Column("destruction", sa.Text),
        sa.Column("destruction_at", _MOMENT),
        sa.Column("destruction_note", sa.Text),
        sa.CheckConstraint("state IN ('opening', 'open', 'closing', 'destroyed')", name="epoch_state"),
        sa.CheckConstraint(
            "(state IN ('open', 'closing')) = (wrapped_key IS NOT NULL AND wrapped_lookup_key IS NOT NULL)",
            name="epoch_has_keys_while_it_lives",
        ),
        schema=SCHEMA,
    )
    for state in ("open", "closing", "opening"):
        op.create_index(
            f"epoch_one_{state}",
            "epoch",
            ["state"],
            unique=True,
            schema=SCHEMA,
            postgresql_where=sa.column("state") == state,
        )
    op.create_table(
        "index_key",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        schema=SCHEMA,
    )


def _subjects() -> None:
    op.create_table(
        "subject",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("lookup", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
    )
    op.create_index("subject_lookup", "subject", ["lookup"], unique=True, schema=SCHEMA)
    op.create_index("subject_epoch", "subject", ["epoch"], schema=SCHEMA)


def _aliases() -> None:
    op.create_table(
        "alias",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        _subject(nullable=False),
        sa.Column("links", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("shared", sa.Boolean, nullable=False, server_default=sa.false()),
        schema=SCHEMA,
    )
    op.create_index("alias_subject", "alias", ["subject"], schema=SCHEMA)
    of_alias = sa.ForeignKey(f"{SCHEMA}.alias.digest", ondelete="CASCADE")
    op.create_table(
        "possible_link",
        sa.Column("digest", sa.LargeBinary, of_alias, primary_key=True),
        _subject(primary_key=True),
        sa.Column("seen_at", _MOMENT, nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
    )
    op.create_index("possible_link_subject", "possible_link", ["subject"], schema=SCHEMA)
    op.create_table(
        "tombstone",
        sa.Column("entity", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("suppress", sa.Boolean, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("tombstone_expiry", "tombstone", ["expires_at"], schema=SCHEMA)


def _subject(*, nullable: bool = False, primary_key: bool = False) -> sa.Column[bytes]:
    of_subject = sa.ForeignKey(f"{SCHEMA}.subject.id", ondelete="CASCADE")
    return sa.Column("subject", sa.LargeBinary, of_subject, nullable=nullable, primary_key=primary_key)
