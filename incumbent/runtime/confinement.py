"""Confine the process that runs code of others: no network, and so much memory.

The network is taken away by a network namespace of its own, in which there is not even a loopback
interface that is up. `unshare` does so for the thread that calls it and those that it starts, so it
has to be called before any library starts threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from pathlib import Path

# Of <linux/sched.h>.
_NEW_USER = 0x10000000
_NEW_NETWORK = 0x40000000


def without_network() -> str:
    """Leave the network; gives why that could not be had, or "".

    Where this process may not do so, it asks for a user namespace first, in which it may.
    """
    uid, gid = os.getuid(), os.getgid()
    refused = _unshare(_NEW_NETWORK)
    if refused:
        refused = _unshare(_NEW_USER | _NEW_NETWORK)
        if not refused:  # whoever it was before, or its own files would be a stranger's
            with contextlib.suppress(OSError):
                Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
                Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
                Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
    return refused


def _unshare(flags: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) == 0:
        return ""
    return os.strerror(ctypes.get_errno())


def limit(kind: int, most: int) -> None:
    """Lower one of `resource`'s limits, unless it is lower already."""
    _, hard = resource.getrlimit(kind)
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (soft, soft))
