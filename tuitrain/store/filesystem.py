"""Which file systems are shared between machines: SQLite's write-ahead log works on one only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath

NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "smb2", "smb3", "smbfs",
})  # fmt: skip


def network_filesystem(path: Path) -> str | None:
    """Return the type of the network file system that `path` lies on; None for a local one."""
    import psutil

    mounts = [(each.mountpoint, each.fstype) for each in psutil.disk_partitions(all=True)]
    kind = type_at(Path(os.path.realpath(path)), mounts)
    return kind if kind in NETWORK else None


def type_at(path: PurePath, mounts: Iterable[tuple[str, str]]) -> str:
    """Return the type of the file system at `path`, of (mount point, type) in order of mounting.

    The deepest mount point counts, and of two mounts on one the later, which hides the other.
    """
    found, depth = "", 0
    for point, kind in mounts:
        mounted = PurePath(point)
        if len(mounted.parts) >= depth and path.is_relative_to(mounted):
            found, depth = kind, len(mounted.parts)
    return found
