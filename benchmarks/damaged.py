"""Faults in the files of a run and of a user: each a function that gives experiments by name (see `faults.py`)."""

import functools
import json
import os
import shutil

import forked
import judged
import numpy as np

# What a damaged file of a finished run is read by.
EVALUATE = ("evaluate", "run", "--metrics", "terms", "--json", "--quiet")
REPORT = ("report", "run", "--to", "report")
ENCODE = ("encode", "run/export", "digits.npy", "--to", "codes.npz", "--quiet")
RESUME = ("train", "--resume", "run", "--quiet")
READERS = {
    "config.yaml": (EVALUATE, REPORT),
    "environment.json": (EVALUATE,),
    "evaluation.json": (REPORT,),
    "pictures.npz": (REPORT,),
    "metrics.jsonl": (REPORT, RESUME),
    "model.keras": (EVALUATE, RESUME),
    "export": (ENCODE,),
}


def _changes(options, draws, size):
    """Names of damages with what they make of a file's content."""
    for _ in range(options.bytes if size else 0):
        # Of the lower bits, which make one digit or letter of another.
        place, bit = draws.randrange(size), draws.randrange(6)
        yield f"bit {bit} of byte {place}", lambda content, p=place, b=bit: _flipped(content, p, b)
    if size:
        short = draws.randrange(size)
        yield f"cut to {short} bytes", lambda content, n=short: content[:n]
    yield "lost", lambda content: None


def _flipped(content, place, bit):
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def _damage(path, change):
    content = change(path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)


def _files(run):
    return sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())


def resumed(reference, options, draws):
    """A file of an interrupted run damaged, then resumed."""

    def experiment(name, change, place):
        shutil.rmtree(place, ignore_errors=True)
        run = judged.copied(reference.interrupted, place / "run")
        _damage(run / name, change)
        if not (run / "config.yaml").exists():
            ended = forked.zoo(*RESUME, prepare=lambda: os.chdir(place))
            return judged.bad(ended, allowed=(2,)) or "refused", ended.err
        return reference.finished(place)

    if reference.interrupted:
        for name in _files(reference.interrupted):
            if "tensorboard" in name.parts or ".partial" in str(name):
                continue
            size = (reference.interrupted / name).stat().st_size
            for what, change in _changes(options, draws, size):
                yield f"{name}: {what}", functools.partial(experiment, name, change)


def read(reference, options, draws):
    """A file of a finished run damaged, then read by the command that needs it."""
    first = reference.folder / "read"
    run = judged.copied(reference.run, first / "run")
    for measure in ((*EVALUATE[:2], "--quiet"), EVALUATE):
        assert forked.zoo(*measure, prepare=lambda: os.chdir(first)).code == 0
    expected = {command: _result(reference, first, command) for command in (EVALUATE, REPORT, ENCODE, RESUME)}

    def experiment(name, change, command, place):
        shutil.rmtree(place, ignore_errors=True)
        _damage(judged.copied(run, place / "run") / name, change)
        ended, found = _result(reference, place, command)
        if wrong := judged.bad(ended):
            return wrong, ended.err
        if ended.code:
            return "refused", ended.err
        if found == expected[command][1]:
            return "survived", ended.err
        new = judged.said(ended, place) - judged.said(expected[command][0], first)
        return ("told" if new else "silent difference"), ended.err

    for name in _files(run):
        for command in READERS.get(name.parts[0], ()):
            for what, change in _changes(options, draws, (run / name).stat().st_size):
                yield f"{name}: {what}: {command[0]}", functools.partial(experiment, name, change, command)


def _result(reference, place, command):
    """How a command ended in a folder, and what it gave."""
    shutil.copy(reference.data, place / "digits.npy")
    before = (place / "run" / "evaluation.json").read_bytes() if (place / "run" / "evaluation.json").exists() else None
    ended = forked.zoo(*command, prepare=lambda: os.chdir(place))
    found = None
    if ended.code == 0 and command == EVALUATE:
        found = ended.out
        # It writes its figures down, too.
        (place / "run" / "evaluation.json").write_bytes(before or b"{}")
    elif ended.code == 0 and command == REPORT:
        found = (place / "report" / "report.csv").read_text() + (place / "report" / "report.md").read_text()
    elif ended.code == 0 and command == ENCODE:
        with np.load(place / "codes.npz") as codes:
            found = {key: codes[key].tolist() for key in ("loc", "scale")}
    elif ended.code == 0 and command == RESUME:
        found = reference.differs(place / "run")
    return ended, found


def writers(reference, options, draws):
    """Two commands that write one target at once."""
    first = reference.folder / "alone"
    judged.copied(reference.run, first / "run")
    assert forked.zoo(*EVALUATE, prepare=lambda: os.chdir(first)).code == 0
    expected = {command: _result(reference, first, command)[1] for command in (REPORT, ENCODE)}

    def experiment(command, place):
        judged.copied(first, place)
        started = [forked.Command(command, prepare=lambda: os.chdir(place)) for _ in range(2)]
        for one in started:
            ended = one.wait(judged.SLOW)
            if wrong := judged.bad(ended, allowed=(0,)):
                return wrong, ended.err
        ended, found = _result(reference, place, command)
        left = [path.name for path in place.rglob(".*.partial")]
        if left:
            return "left something", " ".join(left)
        return ("survived", "") if found == expected[command] else ("silent difference", json.dumps(found)[:300])

    for turn in range(max(1, options.kills // 4)):
        for command in (REPORT, ENCODE):
            yield f"{command[0]} {turn + 1}", functools.partial(experiment, command)


LAUGHS = "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))])
HOSTILE = {
    "aliases that expand without end": LAUGHS,
    "a value that holds itself": "data: &a {name: *a}",
    "lists 50,000 deep": "data: " + "[" * 50_000,
    "mappings 3,000 deep": "{a: " * 3_000,
    "100,000 keys": "data: {" + ", ".join(f"k{i}: 1" for i in range(100_000)) + "}",
    "no text": "data: \x00\x01",
    "a Python object": "data: !!python/object/apply:os.system [exit]",
    "a huge integer": "base: digits/vae\ntrain: {epochs: " + "9" * 5000 + "}",
    "latent_dim 1000000000": "base: digits/vae\nmodel: {latent_dim: 1000000000}",
    "width 1000000000": "base: digits/vae\nmodel: {network: {name: mlp, width: 1000000000}}",
    "not a number": "base: digits/vae\nmodel: {beta: .nan}",
    "markup in a name": "base: digits/vae\nmodel: {method: '[/]'}",
    "markup in a path": "base: digits/vae\ndata: {name: files, path: '[/bold]<b>'}",
    "a base that leads back": "base: own.yaml",
}


def configurations(reference, options, draws):
    """A configuration that means harm."""

    def experiment(text, place):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (place / "own.yaml").write_text(text, encoding="utf-8")
        ended = forked.zoo("train", "own.yaml", "--run-dir", "run", "--quiet", prepare=lambda: os.chdir(place))
        if wrong := judged.bad(ended, allowed=(2,)):
            return wrong, ended.err
        return ("left something", ended.err) if (place / "run").exists() else ("refused", ended.err)

    for name, text in HOSTILE.items():
        yield name, functools.partial(experiment, text)


KINDS = {"resumed": resumed, "read": read, "writers": writers, "configurations": configurations}
