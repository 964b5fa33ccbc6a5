"""The system calls with which a command changes a folder, told by strace, and faults put into one of them."""

import re
import shutil
from typing import NamedTuple

# All that changes files or names; what a file is opened with shows in its first write.
CALLS = (
    "write,pwrite64,writev,ftruncate,fsync,fdatasync,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,"
    "unlink,unlinkat,rmdir"
)


class Call(NamedTuple):
    """A system call of a command.

    Attributes:
        name: of the call.
        number: the how many-eth of this name, from 1.
        what: the call with its file, for people.
    """

    name: str
    number: int
    what: str


def missing():
    """Why there is no strace here; None where there is one."""
    return None if shutil.which("strace") else "strace is not installed"


def survey(log):
    """Arguments of strace that write down all such calls."""
    return ["-o", str(log), "-e", f"trace={CALLS}"]


def calls(log, folder):
    """The calls in a survey that changed something in a folder, in their order."""
    counts, found = {}, []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.match(r"(\w+)\((.*)", line)
        if not match:
            continue
        name, rest = match.groups()
        counts[name] = counts.get(name, 0) + 1
        place = re.search(rf"{re.escape(str(folder))}/([^>\",]*)", rest)
        if place and " = -1 " not in rest:
            found.append(Call(name, counts[name], f"{name} {place[1]}"))
    return found


def kill_at(call, log):
    """Arguments of strace that end the process by SIGKILL when it makes a call; the call is not carried out."""
    return _inject(call, log, "signal=SIGKILL")


def fail_at(call, log, error):
    """Arguments of strace that answer a call with an error, such as EIO; the call is not carried out."""
    return _inject(call, log, f"error={error}")


def _inject(call, log, fault):
    return ["-o", str(log), "-e", f"trace={call.name}", "-e", f"inject={call.name}:{fault}:when={call.number}"]


def happened(log):
    """Whether a fault was put in, which strace tells of an error, and a process's end of a kill."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return "(INJECTED)" in text or "killed by SIGKILL" in text
