"""The warehouse's own books, in its schema `kasbah`: what is staged, published, read up to, and which lake files count.

They are written in the same transactions as the rows that they speak of, so a restored or resumed warehouse agrees with
itself; the control database copies from here.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from psycopg import sql

from governance.adapters.warehouse.session import Connection, hold, one
from governance.adapters.warehouse.shape import STAGING
from governance.errors import ConflictError
from governance.flows.stores import LakeFile, Merged, Publication

_DEFINITIONS = sql.SQL(
    """
    CREATE SCHEMA IF NOT EXISTS kasbah;
    CREATE SCHEMA IF NOT EXISTS {staging};
    CREATE TABLE IF NOT EXISTS kasbah.stage (
        run text, dataset text, contract_version text NOT NULL, opened_at timestamptz NOT NULL DEFAULT now(),
        base bigint, staged bigint, new bigint, changed bigint, unchanged bigint, superseded bigint,
        duplicates bigint, shredded bigint, PRIMARY KEY (run, dataset));
    CREATE TABLE IF NOT EXISTS kasbah.stage_batch (
        run text, dataset text, batch bigint, rows bigint NOT NULL, PRIMARY KEY (run, dataset, batch),
        FOREIGN KEY (run, dataset) REFERENCES kasbah.stage ON DELETE CASCADE);
    CREATE TABLE IF NOT EXISTS kasbah.publication (
        run text PRIMARY KEY, dataset text NOT NULL, sequence bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
        contract_version text NOT NULL, published_at timestamptz NOT NULL,
        staged bigint NOT NULL, new bigint NOT NULL, changed bigint NOT NULL, unchanged bigint NOT NULL,
        superseded bigint NOT NULL, duplicates bigint NOT NULL, shredded bigint NOT NULL);
    CREATE INDEX IF NOT EXISTS publication_of_dataset ON kasbah.publication (dataset, sequence);
    CREATE TABLE IF NOT EXISTS kasbah.watermark (
        run text REFERENCES kasbah.publication, source text, dataset text NOT NULL, updated_at timestamptz NOT NULL,
        PRIMARY KEY (run, source));
    CREATE INDEX IF NOT EXISTS watermark_of_source ON kasbah.watermark (dataset, source, updated_at);
    CREATE TABLE IF NOT EXISTS kasbah.lake_file (
        path text PRIMARY KEY, run text NOT NULL REFERENCES kasbah.publication, dataset text NOT NULL,
        place integer NOT NULL, rows bigint NOT NULL, size bigint NOT NULL, sha256 text NOT NULL);
    CREATE INDEX IF NOT EXISTS lake_file_of_dataset ON kasbah.lake_file (dataset);
    """
)
_COUNTS = ("staged", "new", "changed", "unchanged", "superseded", "duplicates", "shredded")
_COUNT_LIST = sql.SQL(", ").join(sql.Identifier(c) for c in _COUNTS)


def make_books(connection: Connection) -> None:
    """Make the books unless they are there. Safe from two processes at once."""
    hold(connection, "kasbah.books")
    connection.execute(_DEFINITIONS.format(staging=sql.Identifier(STAGING)))


def have_books(connection: Connection) -> bool:
    """Whether this warehouse has been prepared at all."""
    return bool(one(connection, sql.SQL("SELECT to_regclass('kasbah.publication') IS NOT NULL"))[0])


def open_stage(connection: Connection, run: str, dataset: str, version: str) -> None:
    """Note that the run stages. Raises ConflictError if it began under another version of the contract."""
    connection.execute(
        "INSERT INTO kasbah.stage (run, dataset, contract_version) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (run, dataset, version),
    )
    query = sql.SQL("SELECT contract_version FROM kasbah.stage WHERE run = %s AND dataset = %s")
    begun = one(connection, query, (run, dataset))[0]
    if begun != version:
        raise ConflictError(
            f"run {run} began under version {begun} of the contract and can't go on under {version}: start a new run"
        )


def staged_batches(connection: Connection, run: str, dataset: str) -> dict[int, int]:
    """Rows by batch number, of the batches that were staged."""
    query = "SELECT batch, rows FROM kasbah.stage_batch WHERE run = %s AND dataset = %s"
    return {int(batch): int(rows) for batch, rows in connection.execute(query, (run, dataset)).fetchall()}


def forget_batches(connection: Connection, run: str, dataset: str, batches: list[int]) -> None:
    """Strike batches off the books."""
    query = "DELETE FROM kasbah.stage_batch WHERE run = %s AND dataset = %s AND batch = ANY(%s)"
    connection.execute(query, (run, dataset, batches))


def forget_stage(connection: Connection, run: str, dataset: str) -> None:
    """Strike the run's stage off the books."""
    connection.execute("DELETE FROM kasbah.stage WHERE run = %s AND dataset = %s", (run, dataset))


def base_of(connection: Connection, dataset: str) -> int:
    """The sequence number of the dataset's newest publication; 0 before the first. What was merged or gated against one
    base isn't true of another."""
    query = sql.SQL("SELECT COALESCE(max(sequence), 0) FROM kasbah.publication WHERE dataset = %s")
    return int(one(connection, query, (dataset,))[0])


def note_merge(connection: Connection, run: str, dataset: str, base: int, merged: Merged) -> None:
    """Keep what the merge came to, and against which base."""
    query = sql.SQL("UPDATE kasbah.stage SET (base, {}) = (%s, {}) WHERE run = %s AND dataset = %s").format(
        _COUNT_LIST, sql.SQL(", ").join(sql.Placeholder() * len(_COUNTS))
    )
    connection.execute(query, (base, *_counts(merged), run, dataset))


def noted_merge(connection: Connection, run: str, dataset: str) -> tuple[int, Merged] | None:
    """(base, counts) of the run's merge, or None if it hasn't merged since it last staged."""
    query = sql.SQL("SELECT base, {} FROM kasbah.stage WHERE run = %s AND dataset = %s").format(_COUNT_LIST)
    row = connection.execute(query, (run, dataset)).fetchone()
    return None if row is None or row[0] is None else (int(row[0]), Merged(*map(int, row[1:])))


def forget_merge(connection: Connection, run: str, dataset: str) -> None:
    """The staged rows have changed, so what was merged no longer stands."""
    connection.execute("UPDATE kasbah.stage SET base = NULL WHERE run = %s AND dataset = %s", (run, dataset))


def _counts(merged: Merged) -> tuple[int, ...]:
    return tuple(int(getattr(merged, name)) for name in _COUNTS)


def record(connection: Connection, publication: Publication) -> None:
    """Write a publication, its watermarks and its lake files."""
    query = sql.SQL(
        "INSERT INTO kasbah.publication (run, dataset, contract_version, published_at, {}) VALUES (%s, %s, %s, %s, {})"
    ).format(_COUNT_LIST, sql.SQL(", ").join(sql.Placeholder() * len(_COUNTS)))
    run, dataset = publication.run, publication.dataset
    head = (run, dataset, publication.contract_version, publication.published_at)
    connection.execute(query, (*head, *_counts(publication.merged)))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO kasbah.watermark (run, source, dataset, updated_at) VALUES (%s, %s, %s, %s)",
            [(run, source, dataset, moment) for source, moment in sorted(publication.watermarks.items())],
        )
        cursor.executemany(
            "INSERT INTO kasbah.lake_file (path, run, dataset, place, rows, size, sha256) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [(f.path, run, dataset, n, f.rows, f.size, f.sha256) for n, f in enumerate(publication.files)],
        )


def recorded(connection: Connection, run: str) -> Publication | None:
    """The publication of a run, as it was recorded."""
    query = sql.SQL("SELECT dataset, contract_version, published_at, {} FROM kasbah.publication WHERE run = %s")
    row = connection.execute(query.format(_COUNT_LIST), (run,)).fetchone()
    if row is None:
        return None
    marks = connection.execute("SELECT source, updated_at FROM kasbah.watermark WHERE run = %s ORDER BY source", (run,))
    files = connection.execute(
        "SELECT path, rows, size, sha256 FROM kasbah.lake_file WHERE run = %s ORDER BY place", (run,)
    )
    dataset, version, published_at, *counts = row
    return Publication(
        run=run,
        dataset=dataset,
        contract_version=version,
        merged=Merged(*map(int, counts)),
        watermarks=_moments(marks.fetchall()),
        files=_files(files.fetchall()),
        published_at=published_at.astimezone(UTC),
    )


def manifest(connection: Connection, dataset: str) -> tuple[LakeFile, ...]:
    """Every lake file of a dataset that counts, oldest publication first."""
    query = """SELECT f.path, f.rows, f.size, f.sha256 FROM kasbah.lake_file f JOIN kasbah.publication p USING (run)
               WHERE f.dataset = %s ORDER BY p.sequence, f.place"""
    return _files(connection.execute(query, (dataset,)).fetchall())


def watermarks(connection: Connection, dataset: str) -> dict[str, datetime]:
    """The newest moment per source. It never goes back, whatever order runs publish in."""
    query = "SELECT source, max(updated_at) FROM kasbah.watermark WHERE dataset = %s GROUP BY source ORDER BY source"
    return _moments(connection.execute(query, (dataset,)).fetchall())


def _moments(rows: Iterable[tuple[str, datetime]]) -> dict[str, datetime]:
    return {source: moment.astimezone(UTC) for source, moment in rows}


def _files(rows: Iterable[tuple[str, int, int, str]]) -> tuple[LakeFile, ...]:
    return tuple(LakeFile(path, int(count), int(size), digest) for path, count, size, digest in rows)
