"""Becomes another program: drops privileges, and asks the kernel to end it with its parent.

Run as `python -I -S shim.py PARENT_PID SIGNAL IDENTITY PROGRAM ARGUMENT…`; imports nothing of the project.
IDENTITY is one of
    same              stay who we are
    namespace         uid 65534 inside a user namespace, and still ourselves to the files outside
    user:UID:GID      as root: that plain user, who may still pass directories that are closed to others
"""

import contextlib
import ctypes
import os
import signal
import struct
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522
NOBODY = 65534

LINUX = sys.platform == "linux"


def enter_namespace(libc: ctypes.CDLL) -> None:
    """Map our uid to `nobody`: PostgreSQL refuses uid 0, and uids without a name; the files stay ours."""
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER):
        sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {uid} 1"),
        ("gid_map", f"{NOBODY} {gid} 1"),
    ):
        with open(f"/proc/self/{file}", "w") as mapping:  # noqa: PTH123 - pathlib costs this program its start time
            mapping.write(text)


def become(libc: ctypes.CDLL | None, uid: int, gid: int) -> None:
    """Become that user, keeping the right to pass closed directories where the kernel lets us."""
    os.setgroups([])
    if libc is not None:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgid(gid)
    os.setuid(uid)
    if libc is None:
        return
    # The checkout or DATA_DIR may lie in root's own 0700 home. Where even this is forbidden, it must not.
    bit = 1 << CAP_DAC_OVERRIDE
    header = struct.pack("Ii", LINUX_CAPABILITY_VERSION_3, 0)
    if not libc.capset(header, struct.pack("6I", bit, bit, bit, 0, 0, 0)):
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def main(parent: int, stop_signal: int, identity: str, argv: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True) if LINUX else None
    if identity == "namespace" and libc is not None:
        enter_namespace(libc)
    elif identity.startswith("user:"):
        uid, gid = identity.split(":")[1:]
        become(libc, int(uid), int(gid))
    if libc is not None:
        libc.prctl(PR_SET_PDEATHSIG, stop_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("The parent ended before this part began.")
    # Python ignores SIGPIPE, and a background shell job SIGINT; neither may reach the program through us.
    for name in ("SIGPIPE", "SIGXFSZ", "SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"):
        with contextlib.suppress(AttributeError):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execv(argv[0], argv)  # noqa: S606 - becoming that program is what this one is for


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
