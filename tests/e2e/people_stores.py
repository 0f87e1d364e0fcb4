"""People as the streams have stored them: Cassandra's rows, opened, and MongoDB's figures."""

from typing import Any

from opening import opened
from people_truth import CLEAR, ENCRYPTED, Plain, micros
from pymongo import MongoClient
from streams import session_of

from governance.bootstrap import Services
from local.cassandra import Cassandra
from local.mongodb import MongoDB

Figures = dict[str, dict[tuple[Any, ...], tuple[int, int | None]]]
_DATASET = "users.people/person"
_SMALLEST = 5
_MEANS = ("all", "nationality")
_DECADE = 10


def stored_people(services: Services, cassandra: Cassandra) -> list[Plain]:
    """Every row of the table, its tokens opened; as `people_truth.plain` has them."""
    with session_of(cassandra) as session:
        rows = [row._asdict() for row in session.execute("SELECT * FROM users.users")]
    assert rows, "nobody is stored"
    pseudonyms = [row["person_pseudonym"] for row in rows]
    assert len(set(pseudonyms)) == len(rows)
    people = [{name: row[name] for name in CLEAR} for row in rows]
    for field in ENCRYPTED:
        tokens = [row[field] for row in rows]
        assert all(token is None or token.startswith("kb1.") for token in tokens), f"{field} isn't encrypted"
        for one, text in zip(people, opened(services, _DATASET, field, pseudonyms, tokens), strict=True):
            one[field] = text
    for one, row in zip(people, rows, strict=True):
        # Cassandra's timestamps count milliseconds; the version beside them is whole.
        assert micros(row["updated_at"]) == row["kasbah_version"] // 1000 * 1000
        one |= {"updated_at": row["kasbah_version"], "registered_at": micros(row["registered_at"])}
    return people


def counted_people(mongodb: MongoDB) -> Figures:
    """Every group that has somebody, as `people_truth.figures` has them."""
    with MongoClient[dict[str, Any]](mongodb.address) as client:
        lines = list(client["users"]["users_groups"].find({"people": {"$gt": 0}}))
    found: Figures = {}
    for line in lines:
        total = line["total"] if line["aggregate"] in _MEANS else None
        found.setdefault(line["aggregate"], {})[tuple(line["key"])] = (line["people"], total)
    return found


def assert_shown(mongodb: MongoDB, truth: Figures) -> None:
    """What is shown is true, of five people or more each, and most people are in a group that is shown."""
    with MongoClient[dict[str, Any]](mongodb.address) as client:
        views = {view["_id"]: view for view in client["users"]["users_aggregates"].find()}
    assert views.keys() == truth.keys()
    everybody = truth["all"][()][0]
    for name, view in views.items():
        assert view["people"] == everybody
        assert sum(line["people"] for line in view["groups"]) + view["rest"] == everybody
        assert view["rest"] < everybody / 2
        for line in view["groups"]:
            people, ages = _of(name, line, truth)
            assert line["people"] == people >= _SMALLEST
            if ages is not None:
                assert line["mean_age"] == round(ages / people, 1)


def _of(name: str, line: dict[str, Any], truth: Figures) -> tuple[int, int | None]:
    """The group that a shown line is about."""
    if name == "age":
        ages = range(line["from"], line["from"] + _DECADE)
        return sum(truth[name].get((age,), (0, None))[0] for age in ages), None
    columns = {"all": (), "nationality_and_gender": ("nationality", "gender")}.get(name, (name,))
    return truth[name][tuple(line[column] for column in columns)]
