"""Documents in Elasticsearch. Only what every licence and the smallest server has is used: templates, aliases, bulk,
mget; retention and erasure build on dated indices and bulk deletes.
"""

from governance.adapters.elasticsearch.bulk import ElasticsearchSink
from governance.adapters.elasticsearch.index import IndexPlan, index_of
from governance.adapters.elasticsearch.server import Server

__all__ = ["ElasticsearchSink", "IndexPlan", "Server", "index_of"]
