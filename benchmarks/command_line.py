"""How long help and a mistake take on the command line, start of Python included (best and median of ten).

python benchmarks/command_line.py
"""

import statistics
import subprocess
import sys
import time

COMMANDS = (
    ["--help"],
    ["train", "--help"],
    ["list"],
    ["train", "mnist/contrastve"],
    ["train", "mnist/vae", "--set", "a=1"],
)


def main():
    for arguments in COMMANDS:
        seconds = []
        for _ in range(10):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "zoo", *arguments], check=False, capture_output=True)
            seconds.append(time.perf_counter() - began)
        print(f"zoo {' '.join(arguments):30} best {min(seconds):.2f} s, median {statistics.median(seconds):.2f} s")


if __name__ == "__main__":
    main()
