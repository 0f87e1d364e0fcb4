"""Where Spark begins: at its checkpoint, unless that is ahead of the control database, which decides.

Behind it is well: what has been dealt with is passed over. Ahead, as after the control database was restored, records
would be passed over that nobody has counted; so the checkpoint is given up, and the topic read from where the control
database stands.
"""

import json
from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession


def starting_offsets(spark: SparkSession, checkpoint: str, topic: str, positions: Mapping[int, int]) -> str:
    """`startingOffsets` for Spark's Kafka source, which heeds them where there is no checkpoint. `positions` has the
    next offset of every partition of the topic. A checkpoint that is ahead of them is deleted.
    """
    folder = Folder(spark, checkpoint)
    found = finished(folder, topic)
    if found is None or any(offset > positions.get(partition, 0) for partition, offset in found.items()):
        folder.delete()
    return json.dumps({topic: {str(partition): offset for partition, offset in sorted(positions.items())}})


class Folder:
    """A folder of any file system that Spark knows."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        self._jvm: Any = spark.sparkContext._jvm
        self._path = self._jvm.org.apache.hadoop.fs.Path(path)
        self._files = self._path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())

    def names(self, below: str) -> list[str]:
        """What is in a folder below it; nothing where there is none."""
        place = self._jvm.org.apache.hadoop.fs.Path(self._path, below)
        return [one.getPath().getName() for one in self._files.listStatus(place)] if self._files.exists(place) else []

    def text(self, below: str) -> str:
        """A file's content."""
        stream = self._files.open(self._jvm.org.apache.hadoop.fs.Path(self._path, below))
        try:
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def delete(self) -> None:
        """The folder and all in it."""
        self._files.delete(self._path, True)


def finished(checkpoint: Folder, topic: str) -> dict[int, int] | None:
    """Up to which offsets the last finished batch of a checkpoint went; None if there is none, or of another topic."""
    batches = [int(name) for name in checkpoint.names("commits") if name.isdecimal()]
    for line in checkpoint.text(f"offsets/{max(batches)}").splitlines() if batches else ():
        noted = json.loads(line) if line.startswith("{") else {}
        if isinstance(noted.get(topic), dict):
            return {int(partition): int(offset) for partition, offset in noted[topic].items()}
    return None
