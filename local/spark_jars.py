"""Spark's source and sink for Kafka: the jars that PySpark lacks, by exact coordinates.

PySpark 4.0's own folder has everything else that they need. Their project publishes them with each release of Spark;
those pinned are of the same minor version as the installed PySpark, whose interfaces stay within one.
"""

from pathlib import Path

from local import download

TITLE = "Spark's connector for Kafka"


def spark_jars() -> list[Path]:
    """The jars' files, fetched where they are missing: for `spark.jars`, with a comma between. Raises DownloadError."""
    return download.fetch(download.pinned("spark_kafka"), TITLE)
