"""How many studies a minute, and does memory stay flat? A batch as ``spinenet predict`` runs it, watched from outside.

python scripts/measure_batch.py STUDIES --out NEW_FOLDER --workers 2

Prints studies a minute from the first result on (start-up apart), processor seconds a study, which do not depend on
what else the machine does, and the memory of the workers while the first and the last fifty studies were read. Linux
alone: it reads /proc.
"""

import csv
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
COMPARED = 50
"""Studies at the start and at the end whose memory is compared."""
SKIPPED = 10
"""First studies, in which networks and libraries are still being loaded."""


def main(
    studies: Path,
    out: Annotated[Path, typer.Option(help="Folder that does not exist yet.")],
    workers: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Run, watch twice a second, report."""
    if out.exists():
        sys.exit(f"{out}: exists; name a new folder, or studies with results would be skipped")
    begin = time.monotonic()
    command = [sys.executable, "-c", "from spinenet.cli import main; main()", "predict", str(studies)]
    process = subprocess.Popen([*command, "--out", str(out), "--workers", str(workers)])
    samples: list[tuple[float, int, float]] = []
    """(time, studies done, MB of the largest process that predicts)"""
    while process.poll() is None:
        sizes = [size for child in _children(process.pid) if (size := _memory_mb(child)) > 0]
        samples.append((time.monotonic() - begin, _done(out), max(sizes or [_memory_mb(process.pid)])))
        time.sleep(0.5)
    spent = os.times()
    wall_s, done = time.monotonic() - begin, _done(out)
    if done <= 1:
        sys.exit(f"{studies}: {done} studies were predicted, too few to measure")
    start_s, at_start = next((seconds, count) for seconds, count, _ in samples if count > 0)
    end_s = next(seconds for seconds, count, _ in samples if count == samples[-1][1])
    print(f"{done} studies in {wall_s:.0f} s, the first after {start_s:.1f} s")
    print(
        f"{60 * (samples[-1][1] - at_start) / max(end_s - start_s, 1e-9):.1f} studies a minute from the first result on"
    )
    print(f"{60 * done / wall_s:.1f} studies a minute, start-up and worklist included")
    print(f"{(spent.children_user + spent.children_system) / done:.2f} s of processor time a study, start-up included")
    first = [size for _, count, size in samples if SKIPPED <= count < SKIPPED + COMPARED]
    last = [size for _, count, size in samples if done - COMPARED <= count < done]
    if done >= SKIPPED + 2 * COMPARED:
        before, after = statistics.mean(first), statistics.mean(last)
        print(f"memory of a worker: {before:.0f} MB, at the end {after:.0f} MB ({after / before - 1:+.1%})")


def _done(out: Path) -> int:
    """Studies with a complete row in the table."""
    try:
        with (out / "studies.csv").open(encoding="utf-8", newline="") as file:
            return sum(1 for _ in csv.DictReader(file))
    except OSError:
        return 0


def _children(pid: int) -> list[int]:
    """Processes below this one."""
    try:
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*found, *(below for child in found for below in _children(child))]


def _memory_mb(pid: int) -> float:
    """Resident memory, 0 where the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB
    except (OSError, IndexError):
        return 0.0


if __name__ == "__main__":
    typer.run(main)
