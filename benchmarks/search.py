"""A Hyperband search on digits that is killed twice: does it lose a trial, and does its best train to the same value?

python benchmarks/search.py --trials 12

Two searches of one seed: one is killed (SIGKILL) twice at random moments and resumed, one is left alone. Printed are
the numbers of trials, whether all values and scores are equal to the last digit, and the value of the best
configuration trained afresh by `zoo train`, beside the trial's. The exit code is 1 where something differs.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--trials", type=int, default=12)
parser.add_argument("--epochs", type=int, default=9)
parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
options = parser.parse_args()

SPACE = """\
train.optimizer.learning_rate: {float: [1.0e-3, 1.0e-1], log: true}
model.method:
  choice:
    vae: {model.beta: {float: [0.1, 2.0], log: true}}
    contrastive: {model.gamma: {float: [0.1, 10.0], log: true}}
"""
SMALL = [
    "data.train=train[:512]",
    "data.validation=validation[:200]",
    "model.network={name: mlp, depth: 1, width: 64}",
    "model.latent_dim=8",
]


def zoo(*arguments):
    return [sys.executable, "-m", "zoo", *map(str, arguments)]


def trials(directory):
    """Of a search: each trial's number, values, status and score."""
    file = directory / "trials.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return [{key: trial[key] for key in ("number", "values", "status", "score")} for trial in found]


def killed(command, directory, after, moments):
    """Runs a command until so many trials have ended and a moment more, then kills it."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while sum(trial["status"] != "running" for trial in trials(directory)) < after:
            if process.poll() is not None:
                raise SystemExit(f"the search ended before it was killed, with exit code {process.returncode}")
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 4))
        os.kill(process.pid, signal.SIGKILL)
    states = [trial["status"] for trial in trials(directory)]
    print(f"killed: {states.count('completed')} trials completed, {states.count('running')} running", flush=True)


def main():
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        space, best = folder / "space.yaml", folder / "best.yaml"
        space.write_text(SPACE, encoding="utf-8")
        what = ["digits/vae", "--space", space, "--tuner", "hyperband", "--max-trials", options.trials]
        what += ["--epochs", options.epochs, "--objective", "mutual_information:max", "--quiet"]
        what += [word for setting in SMALL for word in ("--set", setting)]
        twice, alone = folder / "twice", folder / "alone"
        first, second = options.trials // 3, 2 * options.trials // 3
        killed(zoo("tune", *what, "--directory", twice), twice, first, moments)
        killed(zoo("tune", "--resume", "--directory", twice), twice, second, moments)
        subprocess.run(zoo("tune", "--resume", "--directory", twice, "--best", best), check=True)
        subprocess.run(zoo("tune", *what, "--directory", alone), check=True, stdout=subprocess.DEVNULL)
        found, expected = trials(twice), trials(alone)
        runs = len(list(twice.glob("trial-*")))
        print(f"killed twice: {len(found)} trials, {runs} runs; never: {len(expected)}; equal: {found == expected}")

        run = folder / "best"
        subprocess.run(zoo("train", best, "--run-dir", run, "--quiet"), check=True)
        evaluation = zoo("evaluate", run, "--split", "validation", "--metrics", "information", "--json", "--quiet")
        measured = json.loads(subprocess.run(evaluation, check=True, capture_output=True, text=True).stdout)
        value, score = measured["mutual_information"]["value"], max(trial["score"] for trial in found)
        print(f"the best trial: {score!r} nats; its configuration trained afresh: {value!r}; equal: {value == score}")
    good = len(found) == runs == options.trials and found == expected and value == score
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
