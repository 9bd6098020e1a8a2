"""Detection of network file systems, where SQLite's write-ahead log does not work."""

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

    mounts = [(mount.mountpoint, mount.fstype) for mount in psutil.disk_partitions(all=True)]
    kind = type_at(Path(os.path.realpath(path)), mounts)
    return kind if kind in NETWORK else None


def type_at(path: PurePath, mounts: Iterable[tuple[str, str]]) -> str:
    """Return the type of the file system at `path`, given (mount point, type) in mount order.

    The deepest mount point counts. Of two mounts on the same point, the later hides the earlier.
    """
    deepest, depth = "", 0
    for point, kind in mounts:
        mounted = PurePath(point)
        if len(mounted.parts) >= depth and path.is_relative_to(mounted):
            deepest, depth = kind, len(mounted.parts)
    return deepest
