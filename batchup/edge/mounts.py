"""Which file system a folder lies on: locks, syncs and shared memory of a network's are not to be relied on.

A lock that another machine does not see lets two runs buy the same thing, and a sync that is none loses ids
in a power cut.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batchup.errors import OutputProblem

_TABLE: Final = Path("/proc/self/mountinfo")
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")

# What is not named here counts as local: most of FUSE is (ntfs-3g, gocryptfs, mergerfs, the overlays of
# containers), and so is virtiofs: locks and syncs reach the host's kernel, and all that share a folder by it
# share that kernel. 9p is not: its locks are the client's own, and SQLite's shared memory fails on it.
_NETWORK: Final = """
    9p acfs afs beegfs ceph cifs coda davfs davfs2 fhgfs glusterfs gpfs lustre moosefs ncpfs nfs nfs4 orangefs
    panfs prl_fs pvfs2 smb2 smb3 smbfs vboxsf vmhgfs wekafs
"""
_NETWORK_FUSE: Final = """
    alluxio beegfs blobfuse blobfuse2 ceph ceph-fuse curlftpfs davfs davfs2 gcsfuse glusterfs goofys hdfs
    juicefs JuiceFS lizardfs mfs moosefs mount-s3 mountpoint-s3 nfs onedriver ossfs rclone s3fs s3ql seaweedfs
    smbnetfs sshfs vmhgfs vmhgfs-fuse weed
"""
_KINDS: Final = frozenset(_NETWORK.split()) | {f"fuse.{name}" for name in _NETWORK_FUSE.split()}


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table: where it is, of what kind, and what is mounted."""

    point: str
    kind: str
    source: str

    @property
    def is_network(self) -> bool:
        """Whether the files lie on another machine."""
        return self.kind in _KINDS


def mount_of(path: str, table: str) -> Mount | None:
    """Return the mount that an absolute path, free of links, lies on, by the text of a `mountinfo`.

    Of several at one point the last counts, as it covers the others; None where the table does not tell.
    """
    found: Mount | None = None
    for mount in _mounts(table):
        if _contains(mount.point, path) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def refuse_network(folder: Path, *, is_allowed: bool, table: Path = _TABLE) -> None:
    """Raise OutputProblem if a folder, made or not, lies on a network file system and that is not allowed."""
    if is_allowed:
        return
    try:
        text = table.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return  # no such table: nothing can be said
    mount = mount_of(str(folder.resolve()), text)
    if mount is not None and mount.is_network:
        raise OutputProblem(
            f"{folder} lies on a network file system ({mount.kind} at {mount.point}), where locks and syncs"
            " do not keep what a run promises: set `[output] dir` to a folder on a local disk,"
            " or `[output] allow_network = true`."
        )


def _mounts(table: str) -> list[Mount]:
    """Read a mount table; lines that are none are left out."""
    found = []
    for line in table.splitlines():
        before, dash, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if dash and len(fields) >= 6 and len(rest) >= 2:
            found.append(Mount(_unescaped(fields[4]), rest[0], _unescaped(rest[1])))
    return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)


def _contains(point: str, path: str) -> bool:
    return point in ("/", path) or path.startswith(f"{point}/")
