"""The examples run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parent.parent


def run(name, *arguments):
    """What an example prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / name), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_plain_keras():
    printed = run("plain_keras.py", "--epochs", "1")
    assert re.search(r"test: distortion \d+\.\d+, elbo -\d+\.\d+, info_nce", printed)
    assert "reconstructions (300, 28, 28, 1), codes (300, 8), samples (16, 28, 28, 1)" in printed
    assert re.search(r"mutual information \d\.\d+ nats, active units \d of 8", printed)
    assert "loaded model encodes alike: True" in printed


def test_keras_tuner_search():
    printed = run("keras_tuner_search.py", "--trials", "2", "--epochs", "1")
    trials = re.findall(r"mutual information (\S+) nats: model.gamma \S+, train.optimizer.learning_rate \S+", printed)
    assert len(trials) == 2
    assert float(trials[0]) >= float(trials[1])
    assert "best model's codes: (8, 16)" in printed
