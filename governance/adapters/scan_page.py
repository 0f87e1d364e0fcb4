"""A scan's report as one HTML page that needs nothing else: to be read without colour, aloud, or on paper."""

from collections.abc import Iterable, Sequence
from html import escape

from governance.flows.findings import percent
from governance.flows.scan import ScanReport, StoreReport
from governance.pii.counts import ColumnCounts
from governance.pii.scanner import Finding, ScanOutcome

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; margin: 2rem auto; max-width: 72rem;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.3rem; margin-top: 2.5rem; } h3 { font-size: 1.05rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { border: 1px solid #767676; padding: .3rem .6rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
thead th { background: #ececec; }
.answer { border-left: .4rem solid; padding: .3rem 1rem; font-weight: 600; }
.found { border-color: #a30000; } .unknown { border-color: #7a4b00; } .clean { border-color: #1a5c1a; }
.scroll { overflow-x: auto; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-before: auto; }
  tr { break-inside: avoid; } thead { display: table-header-group; } .scroll { overflow: visible; } }
"""
_COLUMNS = ("Column", "Cells", "Undeclared", "Share", "Found", "Band", "Cells with it")
_NUMBERS = frozenset({1, 2, 3, 6})
_NOTHING = "nothing"


def page(reports: Sequence[ScanReport]) -> str:
    """The page of one scan or several. All that comes from contracts and stores is escaped."""
    title = "Undeclared personal data in stored copies"
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>",
        "<p>Counts of cells by column. No text of a cell stands in this report.</p>",
        *(_dataset(report) for report in reports),
        "<h2>What this scan can't see</h2>\n<ul>",
        *(f"<li>{escape(limit)}</li>" for limit in dict.fromkeys(one for r in reports for one in r.limits)),
        "</ul>\n</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _dataset(report: ScanReport) -> str:
    lines = [f"<section>\n<h2>{escape(report.dataset)}</h2>", _answer(report)]
    lines.append(
        f"<p>Contract {escape(report.contract_version)}, scan {escape(report.scan)}, "
        f"from {report.started_at:%Y-%m-%d %H:%M} to {report.finished_at:%Y-%m-%d %H:%M %Z}.</p>"
    )
    if not report.stores:
        lines.append("<p>Nothing of it is stored.</p>")
    lines += [_store(store) for store in report.stores]
    if report.exempt:
        lines.append("<h3>Not searched, as the contract says</h3>\n<ul>")
        lines += [f"<li>{escape(f)}: {escape(why or 'no reason given')}</li>" for f, why in report.exempt.items()]
        lines.append("</ul>")
    if report.admitted:
        fields = ", ".join(report.admitted)
        lines.append(
            f"<p>Of cells in these fields nobody can tell, and the contract lets them pass: {escape(fields)}.</p>"
        )
    return "\n".join([*lines, "</section>"])


def _answer(report: ScanReport) -> str:
    if report.found:
        return '<p class="answer found">Undeclared personal data is stored.</p>'
    if report.unknown:
        return '<p class="answer unknown">Nothing undeclared was found, and of some cells nobody can tell.</p>'
    return '<p class="answer clean">No undeclared personal data was found.</p>'


def _store(store: StoreReport) -> str:
    caption = f"{store.store}: {store.where}, {store.rows:,} rows"
    heads = (f'<th scope="col"{_number(n)}>{name}</th>' for n, name in enumerate(_COLUMNS))
    rows = [row for column in store.columns for row in _rows(column)]
    return "\n".join(
        [
            f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">',
            f"<table>\n<caption>{escape(caption)}</caption>",
            f"<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>",
            *rows,
            "</tbody>\n</table>\n</div>",
        ]
    )


def _rows(column: ColumnCounts) -> Iterable[str]:
    name = column.field if column.declared else f"{column.field} (nobody declared it)"
    shared = (f"{column.cells:,}", f"{column.undeclared:,}", percent(column.share))
    for found in column.findings or (None,):
        cells = (*shared, *_found(found))
        yield (
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(f"<td{_number(n)}>{escape(cell)}</td>" for n, cell in enumerate(cells, 1))
            + "</tr>"
        )


def _found(found: Finding | None) -> tuple[str, str, str]:
    if found is None:
        return (_NOTHING, "", "")
    what = found.entity or "cannot tell"
    declared = " (declared)" if found.outcome is ScanOutcome.DECLARED else ""
    return (what + declared, found.band, f"{found.count:,}")


def _number(place: int) -> str:
    return ' class="number"' if place in _NUMBERS else ""
