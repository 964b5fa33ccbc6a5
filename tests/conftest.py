"""What all tests share."""

import os
import sys

import pytest

# Before TensorFlow is imported: no start-up notes, and TFDS must not reach for the network.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The kernels that `import zoo` asks for, also where a test imports TensorFlow first.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Two processes test at once, and small models gain nothing by more threads.
for _threads in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")


@pytest.fixture
def command(capsys, monkeypatch):
    """`zoo` in this process: arguments → (exit code, standard output, standard error)."""

    def call(*arguments):
        from zoo import cli

        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        return leaving.value.code or 0, *capsys.readouterr()

    return call
