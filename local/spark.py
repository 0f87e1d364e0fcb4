"""`python -m local.spark users_stream …`: an application of `spark-apps/` on this machine, without spark-submit.

What follows the application's name goes to the application. On Kubernetes its `application.yaml` says the same.
"""

import argparse
import importlib.util
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from local import download, java
from local.spark_jars import spark_jars
from local.supervise import ServiceError

APPS = Path(__file__).resolve().parent.parent / "spark-apps"
STATE = Path(os.environ.get("KASBAH_STATE", ".state"))
_FOREIGN = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH", "SPARK_HOME", "SPARK_CONF_DIR")


def main() -> int:
    """Become the application; returns an exit code only if that can't be."""
    parser = argparse.ArgumentParser(prog="python -m local.spark", description=__doc__)
    parser.add_argument("app", choices=sorted(place.parent.name for place in APPS.glob("*/main.py")))
    parser.add_argument("--ui", action="store_true", help="serve Spark's pages on loopback, while it runs")
    parser.add_argument("--cores", type=int, default=2, help="how many tasks run at once")
    known, rest = parser.parse_known_args()
    scratch = (STATE / "spark" / known.app).resolve()
    try:
        environment = environment_for(known.app, scratch, cores=known.cores, ui=known.ui)
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    if "--checkpoint" not in rest:
        rest += ["--checkpoint", str(scratch / "checkpoint")]
    command = [sys.executable, str(APPS / known.app / "main.py"), *rest]
    os.execve(command[0], command, environment)  # noqa: S606  it becomes it, so that signals reach it
    return 0


def environment_for(app: str, scratch: Path, *, cores: int = 2, memory: str = "1g", ui: bool = False) -> dict[str, str]:
    """The environment in which `python main.py` of an application finds Java, Spark's jars and its own modules.

    What Spark keeps while it runs is in the folder `scratch/tmp`. Raises ServiceError where there is no Java that fits.
    """
    if importlib.util.find_spec("pyspark") is None:
        raise ServiceError("Spark isn't installed: run `make setup`")
    jars = spark_jars()
    temporary = scratch / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    settings = {
        "spark.ui.enabled": str(ui).lower(),
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(temporary),
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.driver.extraJavaOptions": shlex.join(
            [
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",  # half the time until the first batch
                f"-Djava.io.tmpdir={temporary}",
                f"-Dlog4j2.configurationFile={(APPS / app / 'log4j2.properties').as_uri()}",
            ]
        ),
    }
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return kept | {
        "JAVA_HOME": str(java.home_for_spark(download.cache())),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": _submit(cores, memory, jars, settings),
        "PYTHONPATH": os.pathsep.join([str(APPS / app), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


def _submit(cores: int, memory: str, jars: Iterable[Path], settings: dict[str, str]) -> str:
    words = ["--master", f"local[{cores}]", "--driver-memory", memory, "--jars", ",".join(map(str, jars))]
    for name, value in settings.items():
        words += ["--conf", f"{name}={value}"]
    return shlex.join([*words, "pyspark-shell"])


if __name__ == "__main__":
    sys.exit(main())
