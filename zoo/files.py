"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import glob
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# How the hidden folders end in which something is being written.
PARTIAL = ".partial"
# What a file system answers that cannot lock.
_LOCKLESS = (errno.ENOLCK, errno.EOPNOTSUPP)
# The letters that `mkdtemp` puts between a name and that: no more, for another target may be called `name.more`.
_DRAWN = "?" * 8
# How often a folder is tried to be put in the place of one that other processes put there meanwhile.
_TRIES = 100


class NamedBytes(io.BytesIO):
    """A file in memory that Keras takes for a path, whose ending tells it the format.

    HDF5 crashes the process where a disk is full in the middle of a file. So weights are written to memory by HDF5, and
    to the disk by us.

    Args:
        name: such as `model.weights.h5`.
        content: of the file, to read it.
    """

    def __init__(self, name: str, content: bytes = b"") -> None:
        super().__init__(content)
        self._name = name

    def __str__(self) -> str:
        """The name."""
        return self._name


@contextmanager
def replacing(target: Path, *, synced: bool = False) -> Iterator[Path]:
    """A path to write to, file or folder; what was written takes the target's place if all goes well.

    If anything fails, what was written is removed and the target stays as it was. The path has the target's name and
    lies in a hidden folder beside the target. That folder is new each time, so two processes never write to one; the
    last to end leaves the target as it wrote it. A kill leaves the hidden folder (`leftovers`).

    Args:
        target: The file or folder to write or to replace. Its parents are made.
        synced: Wait until the content is on the disk, so that it also survives a power cut.

    Yields:
        The path; nothing is there yet.

    Raises:
        OSError: If the target cannot be written.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=PARTIAL, dir=target.parent))
    new, old = folder / target.name, folder / f"{target.name}.old"
    in_place = False
    try:
        yield new
        if synced:
            _sync(new)
        if new.is_dir():
            _put_folder(new, target, old)
        else:
            new.replace(target)
        in_place = True
    finally:
        # Where even the old one could not be put back, it stays in the hidden folder. That no target is there says
        # nothing once ours was: another process may just be putting its own there.
        if in_place or target.exists() or not old.exists():
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps other processes out that lock the same path, a file that is made for it in a folder that is there.

    The system lets go of the lock when its process ends, also by a kill. Some network drives know no locks; there
    nothing is kept away.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path)) from None
    except OSError as error:
        if error.errno not in _LOCKLESS:
            raise
    try:
        yield
    finally:
        lock.release()


def leftovers(folder: Path) -> list[Path]:
    """The hidden folders in a folder, and below it, in which something is being written, or was when a kill came."""
    return sorted(path for path in folder.rglob(f".*{PARTIAL}") if path.is_dir())


def clear_beside(target: Path) -> None:
    """Removes the hidden folders in which a target is being written, or was when a kill came."""
    target = target.resolve()
    for path in target.parent.glob(f".{glob.escape(target.name)}.{_DRAWN}{PARTIAL}"):
        shutil.rmtree(path, ignore_errors=True)


def _put_folder(new: Path, target: Path, old: Path) -> None:
    """Renames a folder over another: for a moment there is none, in which another process may put its own there."""
    for _ in range(_TRIES):
        try:
            new.rename(target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                if old.exists() and not target.exists():
                    old.rename(target)
                raise
        if old.exists():
            # Another process has put its own in the place of this one.
            shutil.rmtree(old)
        with suppress(FileNotFoundError):
            target.rename(old)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(target))


def _sync(path: Path) -> None:
    """Waits until a file, or a folder with all that is in it, is on the disk."""
    for part in (*path.rglob("*"), path):
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
