"""Contract files as `Contract`s. A contract with a fault is never returned to code that would act on it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from governance.contracts.check import check, check_together
from governance.contracts.datasets import Feeds, read_agreements, read_dataset
from governance.contracts.document import Document, find_files, read_document
from governance.contracts.node import Node
from governance.contracts.servers import Server, read_server
from governance.contracts.standard import lint
from governance.contracts.types import Contract, Dataset, Fault, Role
from governance.contracts.words import nearest
from governance.errors import ContractError


class ContractFaultsError(ContractError):
    """Contracts with faults. `faults` has them all; the message lists the first."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        shown = [str(fault) for fault in self.faults[:10]]
        more = len(self.faults) - len(shown)
        super().__init__("\n".join([*shown, f"… and {more} more"] if more else shown))


class Datasets(dict[str, tuple[Contract, Dataset]]):
    """Datasets by id (`store.orders/order_line`). `find` also takes the other ways in which people call them."""

    def __missing__(self, word: str) -> tuple[Contract, Dataset]:
        return self.find(word)

    def find(self, word: str) -> tuple[Contract, Dataset]:
        """By dataset id, by contract id where the contract has one dataset, or by a table name that is unique.

        Raises ContractError, with the nearest name, where it is none or several of these.
        """
        if word in self:
            return super().__getitem__(word)
        found = [both for both in self.values() if word in _names(*both)]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(sorted(dataset.id for _, dataset in found))
            raise ContractError(f"'{word}' is several datasets ({ids}): give the id of one.")
        known = {name for both in self.values() for name in (both[1].id, *_names(*both))}
        hint = nearest(word, known)
        raise ContractError(
            f"no contract describes the dataset '{word}'." + (f" Did you mean '{hint}'?" if hint else "")
        )


def _names(contract: Contract, dataset: Dataset) -> tuple[str, ...]:
    return (contract.id, dataset.name, f"{contract.system}.{dataset.name}")


def load_contract(path: Path) -> Contract:
    """The contract in a file, checked by itself. Raises ContractFaultsError with everything that is wrong with it."""
    contract, faults = read_contract(Path(path))
    if contract is None or faults:
        raise ContractFaultsError(faults)
    return contract


def load_folder(root: Path) -> Datasets:
    """Every dataset of the `*.odcs.yaml` files below a folder, checked one by one and together.

    Raises ContractFaultsError, or ContractError where there is no contract at all.
    """
    contracts, faults = read_contracts([Path(root)])
    if faults:
        raise ContractFaultsError(faults)
    if not contracts:
        raise ContractError(f"there is no contract (*.odcs.yaml) in {Path(root).as_posix()}: nothing may be stored.")
    return Datasets({dataset.id: (contract, dataset) for contract in contracts for dataset in contract.datasets})


def read_contracts(roots: list[Path]) -> tuple[list[Contract], list[Fault]]:
    """The contracts in files and folders, and everything wrong with them, alone and with one another."""
    contracts: list[Contract] = []
    faults: list[Fault] = []
    for path in find_files(roots):
        contract, wrong = read_contract(path)
        faults += wrong
        if contract is not None:
            contracts.append(contract)
    return contracts, faults + check_together(contracts)


def read_contract(path: Path) -> tuple[Contract | None, list[Fault]]:
    """A file's contract and its faults. First the YAML, then the standard and our terms, and only of what is sound the
    promises: so a misspelt word isn't also called a missing one.
    """
    document, faults = read_document(path)
    if document is None:
        return None, faults
    faults = lint(document)
    contract = None if any(f.code in ("not-odcs", "missing-term") for f in faults) else _build(document, faults)
    if contract is not None and not faults:
        faults = check(contract)
    return contract, sorted(faults, key=lambda fault: fault.where.line)


def _build(document: Document, faults: list[Fault]) -> Contract:
    node = Node(document, (), document.data, faults)
    schemas = list(node.items("schema"))
    names = tuple(str(one.get("name")) for one in schemas)
    agreements = read_agreements(node, names)
    feeds = _feeds(node, tuple(str(one.get("id")) for one in schemas))
    identity = str(node.get("id"))
    made = [
        read_dataset(one, identity, feeds[str(one.get("id"))], agreements[name])
        for one, name in zip(schemas, names, strict=True)
    ]
    purpose = node.get("description")
    return Contract(
        id=identity,
        name=node.get("name") or identity,
        version=str(node.get("version")),
        status=str(node.get("status")),
        file=document.file,
        datasets=tuple(one for one in made if one is not None),
        roles=tuple(_role(one) for one in node.items("roles")),
        team=_team(node),
        description=(purpose.get("purpose") or "") if isinstance(purpose, dict) else "",
        lines={str(term): document.line((term,)).line for term in document.data},
    )


def _feeds(node: Node, schemas: tuple[str, ...]) -> dict[str, Feeds]:
    """The servers by the schema that they feed."""
    found = {schema: Feeds((), ()) for schema in schemas}
    seen: set[str] = set()
    roles = [str(one.get("role")) for one in node.items("roles")]
    for one in node.items("servers"):
        server, named = read_server(one)
        for role in one.items("roles"):
            if role.get("role") not in roles:
                hint = nearest(str(role.get("role")), roles)
                role.fault("unknown-role", "the server names a role that the contract doesn't have.", hint)
        for schema in named:
            if schema not in schemas:
                message = f"the server's 'dataset' is no schema id of this contract: {', '.join(schemas)}."
                one.fault("unknown-reference", message, nearest(schema, schemas))
        if server is None:
            continue
        if server.name in seen:
            one.fault("duplicate-id", f"the server '{server.name}' stands here twice: names are unique.")
        seen.add(server.name)
        for schema in set(named or schemas) & set(schemas):
            found[schema] = _add(found[schema], server)
    return found


def _add(feeds: Feeds, server: Server) -> Feeds:
    if server.topic is not None:
        feeds = replace(feeds, topics=(*feeds.topics, server.topic))
    if server.source is not None:
        feeds = replace(feeds, sources=(*feeds.sources, server.source))
    return feeds


def _role(node: Node) -> Role:
    return Role(
        str(node.get("role")),
        node.get("access") or "read",
        node.get("description") or "",
        node.document.line(node.place),
    )


def _team(node: Node) -> tuple[str, ...]:
    team = node.child("team")
    members = [] if team is None else list(team.items("members" if isinstance(team.value, dict) else None))
    return tuple(str(m.get("username")) for m in members if m.get("username"))
