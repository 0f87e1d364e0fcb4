"""People who don't exist, as a service like randomuser gives them."""

from samples.users.person import Person, person
from samples.users.source import UserSource, records

__all__ = ["Person", "UserSource", "person", "records"]
