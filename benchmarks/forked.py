"""`zoo` commands as forks of one process that has imported TensorFlow, for benchmarks that start hundreds of them.

A fork is safe as long as there is one thread: TensorFlow starts its own in the child, when it first computes.
"""

import atexit
import importlib
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from typing import NamedTuple

# Before NumPy is imported, which would start threads.
for _threads in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

# What a command imports when it needs it, so that not every child has to.
MODULES = (
    "zoo.cli", "zoo.cli.runs", "zoo.cli.searches", "zoo.cli.reports", "zoo.cli.evidence", "zoo.cli.health",
    "zoo.cli.terminal", "zoo.experiments.fitting", "zoo.experiments.finished", "zoo.experiments.evaluation",
    "zoo.doctor.advice", "zoo.doctor.diagnosis", "zoo.doctor.examination", "zoo.export.encoding",
    "zoo.report.side_by_side", "zoo.report.illustrating", "filelock", "sklearn.datasets", "sklearn.neighbors",
    "sklearn.linear_model", "sklearn.svm", "tensorboard.plugins.hparams.summary_v2",
)  # fmt: skip


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        code: the exit code; the negative number of a signal that ended it.
        out: standard output.
        err: standard error.
        seconds: how long it took.
        hung: whether it was ended because its time was over.
    """

    code: int
    out: str
    err: str
    seconds: float
    hung: bool


def load():
    """Imports everything, and raises RuntimeError where that has started a thread."""
    sys.argv = ["zoo"]
    from zoo.cli import load_tensorflow

    load_tensorflow()
    for name in MODULES:
        importlib.import_module(name)
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("an import has started a thread, so that forks are not safe")


class Command:
    """A `zoo` command that runs, or is about to.

    Args:
        arguments: of `zoo`.
        strace: arguments of strace, which holds the process while it runs.
        prepare: is called in the new process before the command.
    """

    def __init__(self, arguments, strace=None, prepare=None):
        self.began = time.monotonic()
        self.ends, self.text = {}, {}
        ready, go = os.pipe()
        pipes = {name: os.pipe() for name in ("out", "err")}
        self.pid = os.fork()
        if not self.pid:
            os.close(go)
            os.read(ready, 1)
            os.dup2(pipes["out"][1], 1)
            os.dup2(pipes["err"][1], 2)
            os._exit(_run([str(word) for word in arguments], prepare))
        os.close(ready)
        for name, (reading, writing) in pipes.items():
            os.close(writing)
            os.set_blocking(reading, False)
            self.ends[reading], self.text[name] = name, b""
        self.tracer = None
        if strace:
            words = ["strace", "-y", "-qq", "-p", str(self.pid), *strace]
            self.tracer = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            while self._untraced():
                if self.tracer.poll() is not None:
                    self.kill()
                    raise RuntimeError(f"strace: {self.tracer.stderr.read().strip()}")
                time.sleep(0.005)
        os.write(go, b"x")
        os.close(go)

    def _untraced(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return "TracerPid:\t0\n" in status.read()

    def kill(self, number=signal.SIGKILL):
        """Sends a signal, unless the command has ended."""
        os.kill(self.pid, number)

    def wait(self, timeout, then=signal.SIGKILL):
        """Waits for the end; after so many seconds, sends a signal, and waits again: SIGKILL ends what hangs."""
        status = self._poll(self.began + timeout)
        late = status is None
        if late:
            self.kill(then)
            # A command has a while to end in order.
            status = self._poll(time.monotonic() + 30)
            if status is None:
                self.kill()
                _, status = os.waitpid(self.pid, 0)
        self._read()
        for end in self.ends:
            os.close(end)
        if self.tracer:
            self.tracer.communicate()
        out, err = (self.text[name].decode(errors="replace") for name in ("out", "err"))
        return Ended(os.waitstatus_to_exitcode(status), out, err, time.monotonic() - self.began, late)

    def _poll(self, until):
        while time.monotonic() < until:
            select.select([*self.ends], [], [], 0.02)
            self._read()
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                return status
            time.sleep(0.01)
        return None

    def _read(self):
        for end, name in self.ends.items():
            try:
                while more := os.read(end, 1 << 16):
                    self.text[name] += more
            except BlockingIOError:
                pass


def zoo(*arguments, timeout=240, **more):
    """Runs a command to its end."""
    return Command(arguments, **more).wait(timeout)


def _run(arguments, prepare):
    """In the child: the command, as a process of its own would run it; its exit code."""
    from zoo.cli import main

    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["zoo", *arguments]
        if prepare:
            prepare()
        main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code
