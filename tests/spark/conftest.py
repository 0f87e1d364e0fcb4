"""The applications' modules, as Spark's processes find them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "spark-apps" / "users_stream"))
