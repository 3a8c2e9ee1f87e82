"""The mount table: which file system a folder lies on, and which of them are a network's."""

from pathlib import Path

import pytest

from batchup.edge.mounts import Mount, mount_of, refuse_network
from batchup.errors import OutputProblem

TABLE = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 0:30 / /data rw - xfs /dev/vdb rw
31 30 0:31 / /data/share rw,nosuid shared:7 master:2 - nfs4 server:/export rw,vers=4.2
32 30 0:32 / /data/with\040space rw - cifs //server/with\040space rw
33 27 0:33 / /covered rw - nfs server:/x rw
34 33 0:34 / /covered rw - ext4 /dev/vdc rw
no line at all
35 27 0:35
"""
NETWORK = """
    nfs nfs4 cifs smb3 afs ceph lustre glusterfs beegfs 9p fuse.sshfs fuse.s3fs fuse.rclone fuse.gcsfuse
    fuse.glusterfs fuse.mount-s3 fuse.juicefs fuse.davfs2
"""
LOCAL = """
    ext4 xfs btrfs zfs tmpfs overlay virtiofs fuse fuseblk fuse.ntfs-3g fuse.gocryptfs fuse.fuse-overlayfs
    fuse.mergerfs nfsd vfat
"""


@pytest.mark.parametrize(
    ("path", "point", "kind"),
    [
        ("/home/me", "/", "ext4"),
        ("/data", "/data", "xfs"),
        ("/database", "/", "ext4"),
        ("/data/share/a/b", "/data/share", "nfs4"),
        ("/data/with space/a", "/data/with space", "cifs"),
        ("/covered/a", "/covered", "ext4"),
    ],
)
def test_the_deepest_and_latest_mount_counts(path: str, point: str, kind: str) -> None:
    """A path lies on the mount that is nearest above it, and where one covers another, on the upper one."""
    found = mount_of(path, TABLE)
    assert found is not None
    assert (found.point, found.kind) == (point, kind)


def test_an_empty_table_tells_nothing() -> None:
    """Where no mount is known none is made up."""
    assert mount_of("/a", "") is None


@pytest.mark.parametrize("kind", NETWORK.split())
def test_network_file_systems_are_known(kind: str) -> None:
    """Those of a network are, FUSE's among them, and what a virtual machine shares without locks."""
    assert Mount("/x", kind, "y").is_network


@pytest.mark.parametrize("kind", LOCAL.split())
def test_local_file_systems_are_let_be(kind: str) -> None:
    """A disk of this machine is not refused, whatever is stacked on it."""
    assert not Mount("/x", kind, "y").is_network


def test_a_network_folder_is_refused_however_it_is_reached(tmp_path: Path) -> None:
    """A folder that is still to be made counts by where it will be, a link by what it leads to."""
    table = tmp_path / "mountinfo"
    share = tmp_path / "share"
    share.mkdir()
    (tmp_path / "link").symlink_to(share)
    table.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {share} rw - nfs server:/x rw\n")
    for folder in (share, share / "a/b", tmp_path / "link", tmp_path / "link/out"):
        with pytest.raises(OutputProblem, match=r"nfs at .*allow_network = true") as caught:
            refuse_network(folder, is_allowed=False, table=table)
        assert caught.value.exit_code == 73
        refuse_network(folder, is_allowed=True, table=table)
    refuse_network(tmp_path, is_allowed=False, table=table)
    refuse_network(share, is_allowed=False, table=tmp_path / "nowhere")
