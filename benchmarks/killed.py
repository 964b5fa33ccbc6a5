"""Faults while a run is being trained: each a function that gives experiments by name (see `faults.py`)."""

import functools
import os
import resource
import shutil
import signal
import subprocess

import judged
import system_calls


def _fresh(place):
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place


def _after(reference, ended, place, killed=()):
    """The end of an experiment: of the command that met the fault, then of the one that goes on."""
    if wrong := judged.bad(ended, killed=killed):
        return wrong, ended.err
    if ended.code == 0:
        return reference.judged(ended, place)
    end, why = reference.finished(place)
    return end, why + ended.err


def _signalled(reference, number, seconds, place):
    started = reference.started(_fresh(place))
    ended = started.wait(seconds, number)
    if ended.code == 0:
        return reference.judged(ended, place)
    # A signal that Python answers ends in a line and exit code 130.
    ended = ended._replace(hung=ended.seconds > seconds + 30)
    return _after(reference, ended, place, killed=(-number, 130))


def moments(reference, options, draws):
    """SIGKILL at a random moment."""
    for _ in range(options.kills):
        seconds = draws.uniform(0, reference.seconds)
        yield f"after {seconds:.2f} s", functools.partial(_signalled, reference, signal.SIGKILL, seconds)


def signals(reference, options, draws):
    """SIGTERM, SIGHUP and SIGINT at a random moment."""
    for turn in range(options.kills):
        number = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)[turn % 3]
        seconds = draws.uniform(0, reference.seconds)
        yield f"{number.name} after {seconds:.2f} s", functools.partial(_signalled, reference, number, seconds)


def _chosen(reference, options, draws):
    count = min(options.calls, len(reference.calls))
    return sorted(draws.sample(range(len(reference.calls)), count))


def calls(reference, options, draws):
    """SIGKILL at a system call that writes, renames, syncs, makes or removes."""

    def experiment(call, place):
        ended = reference.train(_fresh(place), strace=system_calls.kill_at(call, reference.log))
        if not system_calls.happened(reference.log):
            return None, "never came to it"
        return _after(reference, ended, place, killed=(-signal.SIGKILL,))

    for number in _chosen(reference, options, draws):
        call = reference.calls[number]
        yield f"{number + 1}: {call.what}", functools.partial(experiment, call)


def errors(reference, options, draws):
    """EIO or ENOSPC from such a call."""

    def experiment(call, error, place):
        ended = reference.train(_fresh(place), strace=system_calls.fail_at(call, reference.log, error))
        if not system_calls.happened(reference.log):
            return None, "never came to it"
        return _after(reference, ended, place)

    for number in _chosen(reference, options, draws):
        call, error = reference.calls[number], draws.choice(["EIO", "ENOSPC"])
        yield f"{number + 1}: {error}: {call.what}", functools.partial(experiment, call, error)


def torn(reference, options, draws):
    """A kill in the middle of a write."""

    def limited(size):
        # Beyond the limit a write is cut short, and the next one kills.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    def experiment(size, place):
        ended = reference.train(_fresh(place), prepare=lambda: limited(size))
        return _after(reference, ended, place, killed=(-signal.SIGXFSZ,))

    largest = max(path.stat().st_size for path in reference.run.rglob("*"))
    for _ in range(options.kills):
        size = int(largest ** draws.uniform(0.4, 1.0))
        yield f"files of {size} bytes", functools.partial(experiment, size)


def disks(reference, options, draws):
    """A disk that is full, and has room again at the resume."""
    whole = sum(path.stat().st_size for path in reference.run.rglob("*") if path.is_file())

    def experiment(size, place):
        _fresh(place)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=False)
        if mounted.returncode:
            return None, "left out: no tmpfs can be mounted"
        try:
            ended = reference.train(place)
            subprocess.run(["mount", "-o", f"remount,size={10 * whole}", place], check=True)
            return _after(reference, ended, place)
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)

    page = os.sysconf("SC_PAGE_SIZE")
    for _ in range(options.disks):
        size = draws.randrange(page, whole, page)
        yield f"of {size} bytes", functools.partial(experiment, size)


KINDS = {"moments": moments, "calls": calls, "torn": torn, "errors": errors, "disks": disks, "signals": signals}
