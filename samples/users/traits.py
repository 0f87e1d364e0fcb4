"""What is odd or wrong about people's records, and what must become of each."""

from datetime import timedelta, timezone

from samples.draws import Draws
from samples.feed import moment_at
from samples.rows import Outcome
from samples.traits import ECHO, Record, Trait
from samples.users.person import Person

AGE_UNKNOWN = Outcome("age_unknown", "born")
_DAYS = ("1990-02-30T10:00:00.000Z", "0000-00-00T00:00:00Z", "NaN-NaN-NaN", "05/06/1970", "in spring", "1985-13-01")
_OUT_OF_REACH = ("2093-05-01T08:00:00.000Z", "1789-07-14T08:00:00.000Z")
_YEARS = timedelta(days=365 * 40)


def _small_letters(record: Record, who: Person, _: Draws) -> None:
    """As version 1.2 of the service wrote names."""
    record["name"] = {"title": who.title.lower(), "first": who.first.lower(), "last": f"{who.last.lower()} "}


def _loud_email(record: Record, who: Person, draws: Draws) -> None:
    local, _, domain = who.email.rpartition("@")
    record["email"] = f"{' ' * draws.below(2)}{local.title()}@{domain.upper()}"


def _no_phone(record: Record, _: Person, draws: Draws) -> None:
    record["phone"] = draws.pick((None, "", "N/A"))


def _no_email(record: Record, _: Person, draws: Draws) -> None:
    record["email"] = draws.pick((None, "", "N/A"))


def _no_street(record: Record, _: Person, __: Draws) -> None:
    record["location"]["street"] = None


def _text_numbers(record: Record, _: Person, __: Draws) -> None:
    record["dob"]["age"] = str(record["dob"]["age"])
    record["registered"]["age"] = str(record["registered"]["age"])
    record["location"]["postcode"] = str(record["location"]["postcode"])


def _unknown(record: Record, _: Person, draws: Draws) -> None:
    """A column that nobody declared, with nothing about anybody."""
    record["instrument"] = draws.pick(("bass guitar", "tin whistle", "accordion"))


def _zone(record: Record, who: Person, draws: Draws) -> None:
    zone = timezone(timedelta(hours=draws.pick((-8, -3, 2, 9))))
    record["updated"] = moment_at(who.updated).astimezone(zone).isoformat(timespec="microseconds")


def _again(_: Record, __: Person, ___: Draws) -> None:
    """Nothing to spoil: the row is another's."""


def _no_birthday(record: Record, _: Person, draws: Draws) -> None:
    """Nothing at all, or a day that isn't there; the age that the service states stays."""
    if draws.below(3) == 0:
        record["dob"] = None
    elif draws.below(2):
        del record["dob"]["date"]
    else:
        record["dob"]["date"] = None


def _no_day(record: Record, _: Person, draws: Draws) -> None:
    record["dob"]["date"] = draws.pick(_DAYS)


def _out_of_reach(record: Record, _: Person, draws: Draws) -> None:
    record["dob"]["date"] = draws.pick(_OUT_OF_REACH)


def _long_ago(record: Record, _: Person, draws: Draws) -> None:
    """Registered before any retention began."""
    record["registered"] = {"date": f"19{70 + draws.below(20)}-0{1 + draws.below(9)}-11T09:30:00.000Z", "age": 40}


def _no_uuid(record: Record, _: Person, draws: Draws) -> None:
    if draws.below(2):
        record["login"]["uuid"] = None
    else:
        del record["login"]["uuid"]


def _registered(record: Record, _: Person, draws: Draws) -> None:
    record["registered"]["date"] = draws.pick(("yesterday", "2024-02-30T00:00:00Z", "Invalid Date"))


def _gender(record: Record, _: Person, draws: Draws) -> None:
    record["gender"] = draws.pick(("F", "weiblich", "femal"))


def _nation(record: Record, _: Person, draws: Draws) -> None:
    record["nat"] = draws.pick(("XX", "usa", "Deutschland"))


def _email_for_name(record: Record, who: Person, _: Draws) -> None:
    """They took their e-mail for a user name."""
    record["login"]["username"] = who.email


def _phone_in_title(record: Record, who: Person, draws: Draws) -> None:
    record["name"]["title"] = f"{who.title} (call +44 20 7946 0{draws.below(1000):03d})"


def _phone_in_unknown(record: Record, _: Person, draws: Draws) -> None:
    record["remark"] = f"call +44 20 7946 0{draws.below(1000):03d} before six"


def _form(record: Record, who: Person, draws: Draws) -> None:
    record["updated"] = f"{moment_at(who.updated):{draws.pick(('%m/%d/%Y %I:%M %p', '%d.%m.%Y %H:%M'))}}"


def _ahead(record: Record, who: Person, _: Draws) -> None:
    record["updated"] = (moment_at(who.updated) + _YEARS).isoformat().replace("+00:00", "Z")


TRAITS: tuple[Trait[Person], ...] = (
    Trait("small_letters", 20, _small_letters),
    Trait("loud_email", 10, _loud_email),
    Trait("no_phone", 10, _no_phone),
    Trait("no_email", 6, _no_email),
    Trait("no_street", 4, _no_street),
    Trait("text_numbers", 12, _text_numbers),
    Trait("unknown_column", 4, _unknown),
    Trait("other_zone", 6, _zone),
    Trait(ECHO, 12, _again),
    Trait("no_birthday", 4, _no_birthday, AGE_UNKNOWN),
    Trait("impossible_birthday", 4, _no_day, AGE_UNKNOWN),
    Trait("birthday_out_of_reach", 2, _out_of_reach, AGE_UNKNOWN),
    Trait("registered_long_ago", 2, _long_ago, Outcome("expired", "registered_at")),
    Trait("no_uuid", 3, _no_uuid, Outcome("required", "id")),
    Trait("registered_in_words", 3, _registered, Outcome("type", "registered_at")),
    Trait("unknown_gender", 2, _gender, Outcome("rule", "gender", "known_gender")),
    Trait("unknown_nation", 2, _nation, Outcome("rule", "nationality", "known_nationality")),
    Trait("email_as_user_name", 2, _email_for_name),
    Trait("phone_in_title", 2, _phone_in_title, Outcome("finding", "title")),
    Trait("phone_in_unknown_column", 2, _phone_in_unknown, Outcome("finding", "unknown column")),
    Trait("other_form", 2, _form, Outcome("type", "updated_at")),
    Trait("future", 2, _ahead, Outcome("ahead", "updated_at")),
)
