"""The sample APIs, faultless: `python -m benchmarks.served --products N --people N` prints where, until SIGTERM."""

import argparse
import signal
from datetime import UTC, datetime, timedelta

from samples.feed import Feed
from samples.products import ProductSource
from samples.products.api import ProductApi
from samples.serving import ApiServer
from samples.ticks import Ticks
from samples.users import UserSource
from samples.users.api import UserApi

parser = argparse.ArgumentParser()
parser.add_argument("--products", type=int, default=1)
parser.add_argument("--people", type=int, default=1)
options = parser.parse_args()
start, ticks = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1), Ticks()
products = ProductSource(Feed(seed=7, keys=options.products, start=start), 0.0)
people = UserSource(Feed(seed=7, keys=options.people, start=start), 0.0, minors=False)
with ApiServer([ProductApi(products, ticks), UserApi(people, ticks)], rate=0, ticks=ticks) as server:
    print(server.url, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
