"""`kasbah contract check | plan | diff`: what the contracts promise, before anything is stored under them."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from governance.adapters.settings import load_settings
from governance.contracts.change import Change
from governance.contracts.diff import diff
from governance.contracts.exceptions import ScanException, scan_exceptions
from governance.contracts.load import ContractFaultsError, load_folder, read_contract, read_contracts
from governance.contracts.types import Contract, Fault
from governance.enforcement.plan import ColumnPlan, EnforcementPlan, compile_plan
from governance.errors import ContractError

app = typer.Typer(no_args_is_help=True, help="Check contracts, show what they compile to, compare two versions.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command("check")
def check_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; the contracts folder if absent.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain everything that is wrong with the contracts, by file and line, and name the fields that are searched for
    undeclared personal data less than they could be, with the reason. Exits with 1 if anything is wrong.
    """
    roots = paths or [load_settings().contracts]
    contracts, faults = read_contracts(roots)
    if not contracts and not faults:
        named = ", ".join(root.as_posix() for root in roots)
        raise ContractError(f"there is no contract (*.odcs.yaml) in {named}: name a file or folder that has one.")
    excepted = [one for contract in contracts for one in scan_exceptions(contract)]
    if as_json:
        _print_json([*map(_fault, faults), *map(_exception, excepted)])
    else:
        for line in (*faults, *excepted):
            typer.echo(str(line))
        typer.echo(_count(contracts, faults), err=bool(faults))
    raise typer.Exit(1 if faults else 0)


@app.command("plan")
def plan_command(
    dataset: Annotated[str, typer.Argument(help="A dataset's id (store.orders/order_line), contract or table.")],
    contracts: Annotated[Path | None, typer.Option(help="The contracts folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print what a dataset's contract compiles to: all that enforcement will know."""
    contract, found = load_folder(contracts or load_settings().contracts).find(dataset)
    plan = compile_plan(found, contract)
    typer.echo(plan.to_json() if as_json else _plan_text(plan))


@app.command("diff")
def diff_command(
    old: Annotated[Path, typer.Argument(help="The version before.")],
    new: Annotated[Path, typer.Argument(help="The version after.")],
    as_json: AsJson = False,
) -> None:
    """Name what changed. Exits with 1 if a change is breaking or weakens what protects people."""
    changes = diff(_sound(old), _sound(new))
    if as_json:
        _print_json([_change(change) for change in changes])
    else:
        for change in changes:
            typer.echo(str(change))
        typer.echo(f"{sum(change.stops for change in changes)} of {len(changes)} changes are breaking or weakening.")
    raise typer.Exit(1 if any(change.stops for change in changes) else 0)


def _sound(path: Path) -> Contract:
    contract, faults = read_contract(path)
    if contract is None or faults:
        raise ContractFaultsError(faults)
    return contract


def _count(contracts: list[Contract], faults: list[Fault]) -> str:
    datasets = sum(len(contract.datasets) for contract in contracts)
    files = len({fault.where.file for fault in faults})
    if faults:
        return f"{len(faults)} fault(s) in {files} file(s)."
    return f"{len(contracts)} contract(s), {datasets} dataset(s): no faults."


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "kind": "fault",
        "file": fault.where.file,
        "line": fault.where.line,
        "code": fault.code,
        "field": fault.field,
        "message": fault.message,
        "nearest": fault.nearest,
    }


def _exception(one: ScanException) -> dict[str, Any]:
    return {
        "kind": "exception",
        "file": one.where.file,
        "line": one.where.line,
        "code": one.code,
        "dataset": one.dataset,
        "field": one.field,
        "message": one.message,
        "reason": one.reason,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "file": change.where.file,
        "line": change.where.line,
        "kind": str(change.kind),
        "code": change.code,
        "dataset": change.dataset,
        "field": change.field,
        "message": change.message,
    }


def _print_json(rows: list[dict[str, Any]]) -> None:
    typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())


def _plan_text(plan: EnforcementPlan) -> str:
    """The plan for people: one line a field, then the persons, rules and gaps."""
    lines = [f"{plan.dataset} version {plan.version} -> {plan.system}.{plan.table}", "", "fields"]
    width = max(len(column.name) for column in plan.columns)
    lines += [f"  {column.name:<{width}}  {_column_text(column, plan)}" for column in plan.columns]
    for subject in plan.subjects:
        keys = ", then ".join(f"{field} ({rule})" for field, rule in subject.keys)
        age = f", at least {subject.minimum_age} years old by {subject.born}" if subject.minimum_age else ""
        lines += ["", f"subject {subject.entity}: named by {keys}{age}; kept as {subject.pseudonym_column}"]
    for title, rules in (("rules on each row", plan.row_rules), ("rules on the table", plan.set_rules)):
        if rules:
            lines += [
                "",
                title,
                *(f"  {r.name}: {r.rule} {', '.join(r.fields)} {r.arguments or ''}".rstrip() for r in rules),
            ]
    lines += ["", f"sources: {', '.join(s.name for s in plan.sources) or 'none'}"]
    lines += [f"key: {', '.join(plan.key) or 'none'}; newest by: {plan.version_field or 'nothing'}"]
    lines += _stream_text(plan) if plan.is_stream or plan.topic or plan.raw_topics else []
    lines += ["", *_scan_text(plan)]
    return "\n".join(lines)


def _stream_text(plan: EnforcementPlan) -> list[str]:
    """Which topics it goes through, what names a record, and how old and how new one may be."""
    lines = ["", f"sinks: {', '.join(plan.sinks)}; a record is named by {', '.join(plan.identity)}"]
    if plan.topic is not None:
        kept = " compacted," if plan.topic.compacted else ""
        kept += f" kept for {plan.topic.retention}" if plan.topic.retention else " kept without end"
        lines += [f"governed topic: {plan.topic.name}, {plan.topic.partitions} partition(s),{kept}"]
    lines += [f"raw topics: {', '.join(plan.raw_topics) or 'none'}"]
    if plan.oldest_days is not None:
        lines += [f"refused: records older than {plan.oldest_days} days by {plan.record_date}"]
    if plan.skew_seconds is not None:
        lines += [f"held: records over {plan.skew_seconds} s ahead of the clock by {plan.version_field}"]
    lines += [f"dropped unread from {s.name}: {', '.join(s.ignore)}" for s in plan.sources if s.ignore]
    return lines


def _scan_text(plan: EnforcementPlan) -> list[str]:
    """What cells are searched for, and the gaps by name."""
    scan = plan.scan
    what = ", ".join(scan.entities) or "all that Presidio finds"
    where = f" of {', '.join(scan.countries)}" if scan.countries else ""
    scores = ", ".join(f"{entity} {score:g}" for entity, score in sorted(scan.thresholds.items()))
    lines = [f"searched for: {what}{where}, from a score of {scan.threshold:g} on{f' ({scores})' if scores else ''}"]
    lines += [f"the load is blocked above {plan.undeclared_share:.3g} of a column's cells"]
    unsearched = [c.field for c in plan.columns if c.in_clear and c.field not in plan.scanned]
    lines += [f"not searched: {', '.join(unsearched) or 'no column'}"]
    return [*lines, f"stored although nobody can tell: {', '.join(plan.admit_unscanned) or 'no column'}"]


def _column_text(column: ColumnPlan, plan: EnforcementPlan) -> str:
    about = f" of {column.subject}" if column.subject else ""
    need = ", required" if column.required else ""
    scan = f", scan {column.scan}" if column.field in plan.scanned else ""
    made = f", {column.derive['kind']} of {', '.join(column.derive['inputs'])}" if column.derive else ""
    return f"{column.type}{need}, {column.protect}{about}{scan}{made.removesuffix(' of ')}"
