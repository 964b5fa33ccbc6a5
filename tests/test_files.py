"""Files and folders that appear whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.files import leftovers, replacing


def write(path, text, folder):
    if folder:
        path.mkdir()
        path = path / "part"
    path.write_text(text)


def read(path):
    return (path / "part" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("folder", [False, True])
def test_the_target_is_made_then_replaced_and_nothing_else_stays(tmp_path, folder):
    target = tmp_path / "deep" / "target.keras"
    for text in ("first", "second"):
        with replacing(target) as sibling:
            assert sibling.name == target.name and not sibling.exists()
            write(sibling, text, folder)
        assert read(target) == text and os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_the_target_as_it_was(tmp_path, folder):
    target = tmp_path / "target"
    for existed in (False, True):
        with pytest.raises(KeyError), replacing(target) as sibling:
            write(sibling, "half", folder)
            raise KeyError
        assert target.exists() == existed and len(os.listdir(tmp_path)) == existed
        if not existed:
            write(target, "whole", folder)
    assert read(target) == "whole"


@pytest.mark.parametrize("folder", [False, True])
def test_two_writers_of_one_target_do_not_meet(tmp_path, folder):
    target = tmp_path / "target"
    with replacing(target) as first:
        write(first, "first", folder)
        with replacing(target) as second:
            write(second, "second", folder)
        assert read(first) == "first" and read(target) == "second"
    assert read(target) == "first" and os.listdir(tmp_path) == ["target"]


def test_an_old_folder_that_cannot_be_put_back_is_kept(tmp_path, monkeypatch):
    target, rename = tmp_path / "target", Path.rename
    write(target, "precious", folder=True)

    def refuse(old, to):
        if to == target and not target.exists():
            raise OSError(5, "Input/output error")
        return rename(old, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Input/output"), replacing(target) as sibling:
        write(sibling, "new", folder=True)
    (kept,) = tmp_path.rglob("target.old")
    assert read(kept) == "precious"


def test_nothing_is_left_where_another_process_takes_the_new_folder_away_at_once(tmp_path, monkeypatch):
    target, rename = tmp_path / "target", Path.rename
    write(target, "old", folder=True)

    def taken_away(old, to):
        rename(old, to)
        if to == target:
            rename(target, tmp_path / "another's")

    monkeypatch.setattr(Path, "rename", taken_away)
    with replacing(target) as sibling:
        write(sibling, "new", folder=True)
    assert os.listdir(tmp_path) == ["another's"]


def test_what_is_synced_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    target, synced = tmp_path / "target", []

    def fsync(descriptor):
        assert not target.exists()
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    with replacing(target, synced=True) as sibling:
        write(sibling, "content", folder=True)
    assert sorted(synced) == sorted(path.stat().st_ino for path in (target, target / "part"))
    with replacing(target) as sibling:
        write(sibling, "content", folder=True)
    assert len(synced) == 2


MANY = """
import sys
from pathlib import Path
from zoo.files import replacing
target, text, folder = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "folder"
for _ in range(300):
    with replacing(target) as sibling:
        if folder:
            sibling.mkdir()
        (sibling / "part" if folder else sibling).write_text(text)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_processes_that_write_one_target_at_once_do_not_meet(tmp_path, kind):
    target = tmp_path / "target"
    words = [letter * 1000 for letter in "abc"]
    writers = [
        subprocess.Popen([sys.executable, "-c", MANY, str(target), word, kind], stderr=subprocess.PIPE, text=True)
        for word in words
    ]
    said = [writer.communicate()[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], said
    assert read(target) in words and os.listdir(tmp_path) == ["target"]


HALF = """
import sys, time
from pathlib import Path
from zoo.files import replacing
with replacing(Path(sys.argv[1])) as sibling:
    sibling.write_text("half")
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_kill_leaves_the_target_as_it_was(tmp_path):
    target = tmp_path / "target"
    target.write_text("whole")
    with subprocess.Popen([sys.executable, "-c", HALF, str(target)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "written\n"
        writer.send_signal(signal.SIGKILL)
    assert target.read_text() == "whole"
    (left,) = leftovers(tmp_path)
    assert left.name.startswith(".target.")
