"""Where this machine gets Maven artefacts from: Maven Central, or the mirror in the user's own Maven settings."""

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jgo.constants import MAVEN_CENTRAL_URL as CENTRAL

_MIRRORS_CENTRAL = {"*", "central", "external:*"}
_VARIABLE = re.compile(r"\$\{env\.([A-Za-z0-9_]+)\}")


@dataclass(frozen=True)
class Repository:
    """A base address, and who to be there."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)


def repository(home: Path | None = None, environment: Mapping[str, str] = os.environ) -> Repository:
    """KASBAH_MAVEN if it is set; else the mirror of Central that `~/.m2/settings.xml` names; else Central itself.

    Passwords that Maven keeps encrypted can't be read here: such a mirror is asked without.
    """
    if environment.get("KASBAH_MAVEN"):
        return Repository(environment["KASBAH_MAVEN"].rstrip("/"))
    file = (home or Path.home()) / ".m2" / "settings.xml"
    try:
        settings = _without_namespaces(ET.fromstring(file.read_bytes()))  # noqa: S314  (the user's own file)
    except (OSError, ET.ParseError):
        return Repository(CENTRAL)
    for mirror in settings.iterfind("./mirrors/mirror"):
        if _MIRRORS_CENTRAL & {part.strip() for part in mirror.findtext("mirrorOf", "").split(",")}:
            return _with_login(settings, mirror, environment)
    return Repository(CENTRAL)


def local_copies(home: Path | None = None) -> Path:
    """Maven's own store on this machine: what it has needn't be fetched."""
    return (home or Path.home()) / ".m2" / "repository"


def path_of(coordinates: str) -> str:
    """`group:artifact:version[:extension[:classifier]]` as the path that every Maven repository has it under."""
    group, artifact, version, *rest = coordinates.split(":")
    extension = rest[0] if rest else "jar"
    classifier = f"-{rest[1]}" if len(rest) > 1 else ""
    return f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}{classifier}.{extension}"


def _with_login(settings: ET.Element, mirror: ET.Element, environment: Mapping[str, str]) -> Repository:
    def value(element: ET.Element, name: str) -> str:
        written = element.findtext(name, "").strip()
        return _VARIABLE.sub(lambda found: environment.get(found[1], ""), written)

    url = value(mirror, "url").rstrip("/")
    for server in settings.iterfind("./servers/server"):
        if value(server, "id") == value(mirror, "id") and not value(server, "password").startswith("{"):
            return Repository(url, value(server, "username"), value(server, "password"))
    return Repository(url)


def _without_namespaces(root: ET.Element) -> ET.Element:
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
