"""Which runs a report can set side by side."""

from __future__ import annotations

from zoo.experiments.run_directory import RunDirectory, RunError


def check_comparable(runs: list[RunDirectory]) -> None:
    """A report sets side by side evaluated runs of one data set, each once; nothing heavy is imported here.

    Raises:
        RunError: a run that has no model or no evaluation, that is named twice, or whose data differ.
    """
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise RunError("a report names each run once")
    configurations: dict[tuple[str, int], RunDirectory] = {}
    for run in runs:
        run.require_model()
        same = run.experiment().fingerprint(), run.experiment().train.seed
        if same in configurations:
            raise RunError(
                f"{configurations[same].path} and {run.path} are the same run, seed included, which would count twice; "
                "name one of them"
            )
        configurations[same] = run
        if not run.figures("test"):
            raise RunError(f"{run.path}: has not been evaluated; first: zoo evaluate {run.path}")
        mine, theirs = runs[0].experiment().data, run.experiment().data
        for key in ("name", "path", "test", "size", "channels", "binarize", "labels"):
            if getattr(mine, key) != getattr(theirs, key):
                raise RunError(
                    f"a report is of one data set: data.{key} is {getattr(mine, key)!r} in {runs[0].path}, "
                    f"{getattr(theirs, key)!r} in {run.path}"
                )
