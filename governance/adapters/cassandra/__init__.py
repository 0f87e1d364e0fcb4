"""Apache Cassandra (4.0 or later) as a store of a dataset's records."""

from governance.adapters.cassandra.server import Server
from governance.adapters.cassandra.sink import CassandraSink

__all__ = ["CassandraSink", "Server"]
