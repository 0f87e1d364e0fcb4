"""The scan gate of a load: every cell was searched, and undeclared personal data is the exception or stops the load."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from club import Club, Row, a_club, visit
from simple_scanner import SimpleScanner

from governance.errors import GateError, SourceUnavailableError, UserError
from governance.flows.runs import State
from local.postgres import Postgres

RUN = "20261121T100000-0000aa"
SECRET = "hidden.person@example.org"


@pytest.fixture
def club(postgres: Postgres, tmp_path: Path) -> Iterator[Club]:
    """Its contract lets tickets be any text, so that a ticket can hold what it shouldn't."""
    with a_club(postgres, tmp_path) as made:
        made.amend('        logicalTypeOptions: { pattern: "T[0-9]+" }\n', "", version=None)
        searching(made)
        yield made


def searching(club: Club) -> None:
    """Search as `SimpleScanner` does, from now on."""
    club.services.__dict__["scanner"] = SimpleScanner()
    club.services.__dict__.pop("ingest", None)


def visits(count: int, *bad: int, **changes: str) -> list[Row]:
    """Good rows, and at the places of `bad` ones with these changes."""
    changes = changes or {"ticket": SECRET}
    return [visit(n, **changes) if n in bad else visit(n) for n in range(count)]


def found(club: Club, run: str) -> dict[str, tuple[int, int, int, dict[str, int]]]:
    """Cells, undeclared, cannot-tell and entities of the columns in which something was found."""
    return {
        one.field: (one.cells, one.undeclared, one.cannot_tell, one.entities)
        for one in club.services.runs.scanned(run)
        if one.findings
    }


def test_a_single_finding_is_held_and_the_rest_is_published(club: Club) -> None:
    club.write(*visits(200, 7))
    done = club.load()
    assert done.publication is not None and len(club.table()) == 199
    assert club.reasons() == [(7, "finding", "ticket")]
    assert found(club, done.run) == {"ticket": (200, 1, 0, {"EMAIL_ADDRESS": 1})}


def test_more_than_the_contracts_share_blocks_and_the_old_version_stays(club: Club) -> None:
    club.write(*visits(100))
    club.load()
    before = club.rows_as_written()
    club.write(*visits(200, 7, 8, 9))
    for _ in range(2):
        with pytest.raises(GateError) as raised:
            club.load(run=RUN)
        assert "field ticket has undeclared EMAIL_ADDRESS in 1.5 % of its cells (3 of 200)" in str(raised.value)
        assert "above the limit of 1 %" in str(raised.value) and SECRET not in str(raised.value)
        states = [step.state for step in club.services.runs.get(RUN).steps]
        assert states == [State.DONE, State.BLOCKED, State.PENDING, State.PENDING, State.PENDING]
        assert club.rows_as_written() == before
    with pytest.raises(UserError, match="needs scan_gate first"):
        club.load(run=RUN, step="quality_gate")
    assert [record.action for record in club.audited()][-2:] == ["ingest.scan_gate.blocked"] * 2


@pytest.mark.parametrize("rows", [100, 101])
def test_the_share_itself_still_passes(club: Club, rows: int) -> None:
    club.write(*visits(rows, 3))
    assert club.load().publication is not None


def test_one_cell_above_the_share_doesnt(club: Club) -> None:
    club.write(*visits(99, 3))
    with pytest.raises(GateError, match=r"1\.01 % of its cells \(1 of 99\)"):
        club.load()


def test_a_column_that_nobody_declared_blocks_under_its_name(club: Club) -> None:
    rows = visits(20)
    lines = [",".join([*rows[0], "phone"])]
    lines += [",".join([*map(str, row.values()), SECRET if n < 5 else ""]) for n, row in enumerate(rows)]
    club.file.write_text("\n".join(lines) + "\n")
    with pytest.raises(GateError, match=r"column phone, which nobody declared, .* 25 % of its cells \(5 of 20\)"):
        club.load()


def test_a_columns_name_that_may_be_data_is_not_said(club: Club) -> None:
    rows = visits(4)
    lines = [",".join([*rows[0], "joe@example.org"]), *(",".join([*map(str, r.values()), SECRET]) for r in rows)]
    club.file.write_text("\n".join(lines) + "\n")
    with pytest.raises(GateError) as raised:
        club.load(run=RUN)
    assert "joe" not in str(raised.value) and "(a name that may hold data)" in str(raised.value)
    assert list(found(club, RUN)) == ["(a name that may hold data)"]


def test_a_replay_is_not_judged_by_rows_that_were_all_held_before(club: Club) -> None:
    club.write(*visits(200, 7), visit(900, sport="chess"))
    club.load()
    club.amend("enum, value: [walk, swim]", "enum, value: [walk, swim, chess]")
    searching(club)
    done = club.replay()
    assert done.publication is not None and done.publication.merged.new == 1
    assert found(club, done.run) == {"ticket": (2, 1, 0, {"EMAIL_ADDRESS": 1})}
    assert club.reasons() == [(7, "finding", "ticket")]


@pytest.mark.parametrize("after", [1, 2])
def test_a_resumed_load_counts_no_cell_twice(club: Club, after: int) -> None:
    from test_steps import Breaks

    club.batch_rows = 100
    club.write(*visits(300, 7, 150))
    whole = club.services.open_source
    club.reads(lambda source: Breaks(whole(source), after, lambda: club.services.runs.done_batches(RUN)))
    with pytest.raises(SourceUnavailableError):
        club.load(run=RUN)
    club.reads(whole)
    club.load(run=RUN)
    assert found(club, RUN) == {"ticket": (300, 2, 0, {"EMAIL_ADDRESS": 2})}
    assert {one.cells for one in club.services.runs.scanned(RUN)} == {300}


def test_a_batch_whose_scan_is_not_on_record_is_never_published(club: Club) -> None:
    club.write(*visits(5))
    club.load(run=RUN, step="enforce")
    with club.services.control.begin() as connection:
        connection.execute(sa.text("DELETE FROM kasbah_control.run_scan WHERE field = 'ticket'"))
    with pytest.raises(GateError, match="field ticket was searched in 0 of 5 rows"):
        club.load(run=RUN)
    assert club.table() == []


def test_the_report_shows_column_entity_and_band_and_never_a_text(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    from governance.bootstrap import Services

    monkeypatch.setattr(Services, "scanner", SimpleScanner())
    club.write(*visits(200, 7), visit(999, sport="???"))
    code, said = club.kasbah("ingest", "club.visits", "--source", "visits_csv")
    assert code == 0 and SECRET not in said
    assert "ticket" in said and "EMAIL_ADDRESS" in said and "high" in said
    club.write(*visits(200, 7))
    code, said = club.kasbah("ingest", "club.visits", "--source", "visits_csv", "--json")
    scanned = {one["field"]: one for one in json.loads(said[said.index("{") :])["scanned"]}
    assert code == 0 and SECRET not in said
    assert scanned["ticket"]["findings"] == [
        {"outcome": "undeclared", "entity": "EMAIL_ADDRESS", "band": "high", "count": 1}
    ]
    assert (scanned["ticket"]["cells"], scanned["ticket"]["share"]) == (200, 1 / 200)
    assert scanned["sport"]["findings"] == []


def test_what_was_redacted_is_told_and_blocks_nothing(club: Club) -> None:
    ticket = "        description: Number of the ticket\n        logicalType: string\n"
    terms = ("onFinding, value: redact", "onCannotTell, value: admit", "reason, value: Nobody is named on a ticket")
    extra = "".join(f"          - {{ property: {term} }}\n" for term in terms)
    club.amend(ticket, f"{ticket}        customProperties:\n{extra}", version=None)
    club.write(*(visit(n, ticket=f"T{n} for {SECRET}") for n in range(20)))
    done = club.load()
    assert done.publication is not None and len(club.table()) == 20 and club.reasons() == []
    assert SECRET not in str(club.table("ticket")) and club.table("ticket")[3][1].startswith("T")
    cells, undeclared, _, entities = found(club, done.run)["ticket"]
    assert (cells, undeclared, entities["EMAIL_ADDRESS"]) == (20, 0, 20)
