"""What a run survives: kills, I/O errors, full disks, damaged bytes. Prints how often, and how it ended.

python benchmarks/faults.py                                  # everything once; hours
python benchmarks/faults.py --calls 40 --bytes 1 --to faults.jsonl   # a sample; started again, it goes on

Each experiment is a `zoo` command of its own (a fork of this process, which has imported TensorFlow) in a folder of its
own. Kills at a system call and I/O errors are put in by strace, a torn write by a limit on the size of files, a full
disk by a small tmpfs. A run that met a fault is resumed, and must end as one that met none: the same metrics, the
same checkpoints, the same weights, bit for bit. What reads a damaged file must give what it gave, or say so in a line.

The exit code is 1 where anything went on in silence, left something, hung, crashed or gave a traceback.
"""

import argparse
import collections
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import damaged
import forked
import judged
import killed

KINDS = {**killed.KINDS, **damaged.KINDS}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--kills", type=int, default=20, help="at random moments, and as many signals and torn writes")
parser.add_argument("--calls", type=int, default=1000, help="system calls to kill at, and to fail; all by default")
parser.add_argument("--disks", type=int, default=20, help="sizes of full disks")
parser.add_argument("--bytes", type=int, default=3, help="in every file of a run")
parser.add_argument("--only", help=f"kinds, with commas: {', '.join(KINDS)}")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many")
parser.add_argument("--to", type=Path, help="a file of JSON lines; what is in it is not done again")
options = parser.parse_args()


def table(rows):
    """The counts as Markdown."""
    counts = collections.defaultdict(collections.Counter)
    for row in rows:
        counts[row["kind"]][row["end"]] += 1
    lines = [f"| fault | tried | {' | '.join(judged.ENDS)} |", "|---" * (len(judged.ENDS) + 2) + "|"]
    for kind, found in counts.items():
        cells = [str(found[end]) for end in judged.ENDS]
        lines.append(f"| {KINDS[kind].__doc__.rstrip('.')} | {sum(found.values())} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    until = time.monotonic() + 60 * options.minutes
    rows = (
        [json.loads(line) for line in options.to.read_text().splitlines()] if options.to and options.to.exists() else []
    )
    known = {(row["kind"], row["what"]) for row in rows}
    forked.load()
    # No TemporaryDirectory, which the first child to end would remove.
    folder = Path(tempfile.mkdtemp(prefix="zoo-faults-"))
    try:
        reference = judged.Reference(folder)
        print(f"a training takes {reference.seconds:.1f} s", flush=True)
        for kind in options.only.split(",") if options.only else KINDS:
            # The same experiments whatever else is asked for.
            draws = random.Random(f"{options.seed} {kind}")
            for what, experiment in KINDS[kind](reference, options, draws):
                if (kind, what) in known or time.monotonic() > until:
                    continue
                end, why = experiment(folder / "experiment")
                if end is None:
                    print(f"{kind}: {what}: {why}", flush=True)
                    continue
                rows.append({"kind": kind, "what": what, "end": end, "why": why[-1000:]})
                print(
                    f"{kind}: {what}: {end}" + (f"\n{why}" if judged.ENDS.index(end) >= judged.GOOD else ""), flush=True
                )
                if options.to:
                    with options.to.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
    finally:
        shutil.rmtree(folder)
    print(table(rows))
    sys.exit(any(judged.ENDS.index(row["end"]) >= judged.GOOD for row in rows))


if __name__ == "__main__":
    main()
