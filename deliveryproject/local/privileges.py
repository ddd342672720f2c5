"""As whom PostgreSQL runs, which refuses root and users without a name."""

import os
import pwd
import subprocess
from pathlib import Path

from deliveryproject.local.part import shim_command


def choose_identity(cluster: Path, program: Path) -> str:
    """The shim identity for PostgreSQL, by who we are and who owns the cluster, if there is one.

    program: what will run, used to try whether user namespaces are allowed here.
    Raises PermissionError when the cluster is another user's.
    """
    owner = cluster.stat() if (cluster / "PG_VERSION").exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise PermissionError(
                f"{cluster} belongs to {_user_name(owner.st_uid)}: run as that user, or choose another DATA_DIR."
            )
        # A container may run us under any uid, one without a name in /etc/passwd included.
        return "same" if _has_name(os.geteuid()) or not _works("namespace", program) else "namespace"
    if owner is not None and owner.st_uid != 0:
        return f"user:{owner.st_uid}:{owner.st_gid}"
    if _works("namespace", program):
        return "namespace"
    nobody = pwd.getpwnam("nobody")
    return f"user:{nobody.pw_uid}:{nobody.pw_gid}"


def hand_over(path: Path, identity: str) -> None:
    """Make path, and all in it, belong to the identity's user, where that is another one than ours.

    Raises PermissionError that says what to do where even root may not do that.
    """
    if not identity.startswith("user:"):
        return
    uid, gid = map(int, identity.split(":")[1:])
    if path.stat().st_uid == uid:
        return
    try:
        for directory, directories, files in os.walk(path):
            for name in (*directories, *files):
                os.chown(Path(directory) / name, uid, gid, follow_symlinks=False)
        # Last, because its owner tells the next start that everything below was handed over.
        os.chown(path, uid, gid)
    except PermissionError as error:
        raise PermissionError(
            "PostgreSQL refuses to run as root, and root may not change to another user here:"
            " run as an ordinary user, or set DATABASE_URL."
        ) from error


def _works(identity: str, program: Path) -> bool:
    tried = subprocess.run(
        shim_command([program, "--version"], identity=identity),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _user_name(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name if _has_name(uid) else f"user {uid}"
