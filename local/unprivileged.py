"""For services that refuse to run as root: a root caller runs them as `nobody`, in folders that `nobody` can reach."""

import hashlib
import os
import pwd
import shutil
import tempfile
from pathlib import Path


def user() -> int | None:
    """The user id to run as, or None where the caller is an ordinary user."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def group() -> int | None:
    """The group that goes with it."""
    return pwd.getpwnam("nobody").pw_gid if os.geteuid() == 0 else None


def own(folder: Path) -> None:
    """Give the folder to that user."""
    uid = user()
    if uid is not None:
        os.chown(folder, uid, -1)
        folder.chmod(0o755)


def own_all(folder: Path) -> None:
    """Give the folder and all that is in it to that user."""
    uid = user()
    if uid is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, -1, follow_symlinks=False)


def reachable(path: Path) -> Path:
    """The path itself, or a stand-in under the temporary folder where that user may not go down to it."""
    path = path.resolve()
    if user() is None or _open_to_all(path):
        return path
    name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    stand_in = Path(tempfile.gettempdir()) / f"kasbah-{name}"
    if stand_in.exists() and stand_in.lstat().st_uid not in (os.geteuid(), user()):
        raise PermissionError(f"{stand_in} belongs to somebody else: remove it")
    return stand_in


def copied(folder: Path) -> Path:
    """The folder itself if that user can reach it, or its copy, made once, where he can read it and not write."""
    target = reachable(folder)
    if target == folder.resolve():
        return target
    # Another version in the same place is another copy.
    target = target.with_name(f"{target.name}-{folder.stat().st_mtime_ns:x}")
    if not target.exists():
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        shutil.copytree(folder, fresh, symlinks=True, dirs_exist_ok=True)
        fresh.chmod(0o755)
        try:
            fresh.rename(target)
        except OSError:
            shutil.rmtree(fresh)
    if target.lstat().st_uid != os.geteuid():
        raise PermissionError(f"{target} belongs to somebody else: remove it")
    return target


def _open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.parents if parent.exists())
