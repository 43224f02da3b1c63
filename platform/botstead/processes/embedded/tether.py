"""Start another program so that it cannot outlive us: `tether.py SIGNAL PARENT UID GID PROGRAM ARGUMENT…`.

Run as a file by a bare interpreter (`python -I -S`), it becomes the program (exec). A file of its own, and not a
`preexec_fn`, because that would run Python between fork and exec of a process with threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
"""Linux: the signal that we get when our parent dies (prctl(2))."""
KEEP = -1
"""As a user or group: stay who we are."""
NOT_STARTED = 126
"""Exit status when the program cannot be started, as shells have it."""


def become(user: int, group: int) -> None:
    """Give up root for good.

    Args:
        user: numeric user, or `KEEP`.
        group: numeric group.
    """
    if user == KEEP:
        return
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)


def tie(signal_number: int, parent: int) -> None:
    """Ask the kernel to signal us when the parent dies. It forgets this on setuid, so become somebody else first.

    Args:
        signal_number: the signal to get.
        parent: the parent's pid; if that is no longer our parent, it has died already.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(NOT_STARTED)


def main(arguments: list[str]) -> None:
    """Become the program.

    Args:
        arguments: see the module.
    """
    signal_number, parent, user, group = (int(word) for word in arguments[:4])
    command = arguments[4:]
    try:
        become(user, group)
        tie(signal_number, parent)
        os.execv(command[0], command)  # noqa: S606  # becoming a program without a shell is the point
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}.\n")
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
