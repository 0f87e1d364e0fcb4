"""MongoDB as the store of what is counted about people: their state, and aggregates of it."""

from governance.adapters.mongodb.server import Server
from governance.adapters.mongodb.sink import MongoSink

__all__ = ["MongoSink", "Server"]
