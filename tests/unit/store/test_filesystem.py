"""Where a record must do without a write-ahead log."""

from pathlib import Path, PurePosixPath

import pytest

from tuitrain.store.filesystem import NETWORK, network_filesystem, type_at

MOUNTS = [
    ("/", "ext4"),
    ("/home", "nfs4"),
    ("/home/me/scratch", "xfs"),
    ("/data set", "cifs"),
    ("/mnt", "ext4"),
    ("/mnt", "fuse.sshfs"),
]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/runs/a", "ext4"),
        ("/home/me/runs/a", "nfs4"),
        ("/home", "nfs4"),
        ("/homework/a", "ext4"),
        ("/home/me/scratch/a", "xfs"),
        ("/data set/a", "cifs"),
        ("/mnt/a", "fuse.sshfs"),
    ],
)
def test_the_deepest_and_latest_mount_has_a_path(path: str, kind: str):
    assert type_at(PurePosixPath(path), MOUNTS) == kind


def test_a_path_that_nothing_is_mounted_on_has_no_type():
    assert type_at(PurePosixPath("/a"), []) == ""


def test_local_and_network_file_systems_are_distinguished(tmp_path: Path):
    assert network_filesystem(tmp_path) is None
    assert {"nfs", "nfs4", "cifs", "fuse.sshfs", "lustre"} <= NETWORK
    assert NETWORK.isdisjoint({"ext4", "xfs", "btrfs", "tmpfs", "overlay", "apfs", "zfs"})
