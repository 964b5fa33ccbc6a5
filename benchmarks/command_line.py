"""How long help, and the answer to a mistake, take on the command line, start of Python included.

    python benchmarks/command_line.py [--rounds 5]

A folder with a trained run, files and a locked run is made first, which takes a minute. The mistakes below the line
need the classes of models, and so TensorFlow.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HELP = (["--help"], ["--version"], ["train", "--help"], ["list"])

MISTAKES = (
    ["tran", "digits/vae"],
    ["train", "digits/vea"],
    ["train", "digits/vae", "--epoch", "3"],
    ["train", "digits/vae", "--set", "train.epoch=3"],
    ["train", "digits/vae", "--set", "train.epochs=-3"],
    ["train", "digits/vae", "--set", "model.method=contrastve"],
    ["train", "digits/vae", "--set", "model.network=mpl"],
    ["train", "digits/vae", "--set", "data.name=digit"],
    ["train", "digits/vae", "--set", "data.train=trian"],
    ["train", "digits/vae", "--set", "train.batch_size=4000"],
    ["train", "digits/critic", "--set", "train.batch_size=1"],
    ["train", "broken.yaml"],
    ["train", "missing.yaml"],
    ["train", "table.yaml", "--set", "data.path=missing.csv"],
    ["train", "table.yaml", "--set", "data.label_column=kind"],
    ["train", "digits/vae", "--run-dir", "run"],
    ["train", "digits/vae", "--run-dir", "broken.yaml/run"],
    ["train", "--resume", "missing"],
    ["train", "--resume", "locked"],
    ["train", "--resume", "run", "--set", "model.beta=2"],
    ["train", "--resume", "run", "--epochs", "0"],
    ["evaluate", "missing"],
    ["evaluate", "begun"],
    ["evaluate", "run", "--split", "tset"],
    ["evaluate", "run", "--metrics", "informaton"],
    ["export", "begun"],
    ["encode", "run", "table.csv"],
    ["encode", "run/export", "missing.npy"],
    ["encode", "run/export", "tfds:digit/test"],
    ["encode", "run/export", "table.csv", "--to", "missing/codes.npz"],
    ["sample", "run", "--to", "picture.gif"],
    ["plot", "histry", "run"],
    ["plot", "history", "run", "--unit", "3"],
    ["plot", "traversal", "run", "--to", "picture.gif"],
    ["report", "run", "begun"],
    ["report", "run", "--to", "run"],
    ["reproduce", "papers/contrastive/table9"],
    ["reproduce", "papers/contrastive/table3", "--budget", "smal"],
    ["tune", "digits/vae", "--space", "missing.yaml", "--directory", "search"],
    ["tune", "digits/vae", "--space", "space.yaml", "--directory", "search", "--objective", "mutual_infomation"],
    ["doctor", "missing.keras"],
    ["doctor", "run/model.keras"],
    ["doctor", "begun"],
)
# They need the classes.
LATER = (
    ["train", "digits/contrastive", "--set", "model.gama=1"],
    ["reproduce", "papers/contrastive/table3", "--only", "mnits"],
)


def prepare(folder: pathlib.Path) -> None:
    """The files that the commands name."""
    zoo(
        "train",
        "digits/vae",
        "--epochs",
        "1",
        "--run-dir",
        "run",
        "--quiet",
        "--set",
        "watch.pictures=false",
        at=folder,
    )
    for name in ("begun", "locked"):
        (folder / name).mkdir()
        (folder / name / "config.yaml").write_bytes((folder / "run" / "config.yaml").read_bytes())
    (folder / "broken.yaml").write_text("data:\n  name: [digits\n")
    (folder / "table.yaml").write_text(
        "base: wine/vae\ndata: {name: files, path: table.csv, label_column: label, train: 'all[:80%]', "
        "validation: 'all[80%:90%]', test: 'all[90%:]'}\n"
    )
    rows = "".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(100))
    (folder / "table.csv").write_text("first,second,label\n" + rows)
    (folder / "space.yaml").write_text("model.beta: {min: 0.1, max: 10, sampling: log}\n")


def zoo(*arguments: str, at: pathlib.Path) -> subprocess.CompletedProcess:
    """Runs a command in a folder."""
    surroundings = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[1])}
    command = [sys.executable, "-m", "zoo", *arguments]
    return subprocess.run(command, cwd=at, env=surroundings, capture_output=True, text=True, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(folder)
        from filelock import FileLock

        with FileLock(folder / "locked" / ".lock"):
            slow = 0
            for group, commands in (("help", HELP), ("mistake", MISTAKES), ("mistake that needs the classes", LATER)):
                for arguments in commands:
                    seconds = []
                    for _ in range(rounds):
                        began = time.perf_counter()
                        done = zoo(*arguments, at=folder)
                        seconds.append(time.perf_counter() - began)
                    said = done.stderr.strip().splitlines()
                    wrong = group != "help" and (done.returncode != 2 or len(said) != 1)
                    slow += group == "mistake" and statistics.median(seconds) > 0.6
                    print(f"{statistics.median(seconds):5.2f} s  zoo {' '.join(arguments)}", flush=True)
                    print(f"         {' / '.join(said)}{'  (NOT ONE LINE WITH EXIT CODE 2)' if wrong else ''}")
            print(f"{len(MISTAKES)} mistakes that need no class: {slow} over 0.6 s (medians of {rounds})")


if __name__ == "__main__":
    main()
