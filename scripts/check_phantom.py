"""The nine acceptance tests of the phantom on as many studies as asked for, as a table of found beside asked for.

python scripts/check_phantom.py studies=500 prevalence=2000 workers=2
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np

from spinenet.evaluate.robustness.shortcuts import discrimination
from spinenet.labels import LEVELS
from spinenet.readers import find_studies, read_study
from spinenet.system.processes import in_processes
from spinenet.system.progress import track
from spinenet.train.script import script
from spinephantom import acceptance, make_study, write_dicom
from spinephantom.acceptance import LIMITS
from spinephantom.patient.pathology import Mode, modes_named
from spinephantom.population.prevalence import AIMS, shares_of


@dataclass
class CheckConfig:
    """Numbers of studies: rendered small for the audits, built and measured for prevalence, looked at one by one; with
    0 a part is left out."""

    studies: int = 500
    """Studies rendered for the audits."""
    prevalence: int = 2000
    """Spines built and measured for prevalence."""
    spines: int = 60
    """Spines looked at one by one."""
    modes: tuple[str, ...] = ("rsna",)
    """Modes whose prevalence is measured."""
    workers: int = 1
    """Processes."""
    first_seed: int = 500000
    """Seed of the first study; keep away from those of training sets."""


Row = tuple[str, str, str, bool]
Runner = Callable[..., list]


@script("check_phantom", CheckConfig)
def main(config: CheckConfig) -> None:
    modes = modes_named(config.modes)
    seeds = range(config.first_seed, config.first_seed + max(config.studies, config.prevalence, config.spines))

    def run(job: Callable[[int], object], count: int, title: str) -> list:
        done = track(in_processes(seeds[:count], job, config.workers), title, total=count)
        return [result for _, result in sorted(done, key=itemgetter(0))]

    rows = [*geometry_rows(run, config.spines), *image_rows(config.first_seed)]
    for mode in modes if config.prevalence else ():
        rows += prevalence_rows(run, mode, config.prevalence)
    rows += audit_rows(run, config.studies) if config.studies else []
    width = max(len(row[0]) for row in rows)
    for name, found, asked, passed in rows:
        print(f"{name:{width}}  {found:34}  {asked:28}  {'pass' if passed else 'FAIL'}")


def regrade(seed: int) -> tuple[int, int]:
    """Clear grades of one study that agree with the segmentation's, and their number."""
    return acceptance.regrading([acceptance.spine_of(seed, Mode.RSNA)])


def mirror(seed: int) -> int:
    """Grades of one study that do not follow the mirror."""
    return acceptance.mirror_differences(acceptance.spine_of(seed, Mode.BALANCED))


def audit(seed: int) -> tuple[dict[str, np.ndarray], bool]:
    """Features that must not tell the grade of one study, and the grade."""
    study = acceptance.audited_study(seed)
    return acceptance.shortcuts(study), acceptance.has_stenosis(study)


def geometry_rows(run: Runner, count: int) -> list[Row]:
    agreement = np.sum(run(regrade, count, "segmentation"), axis=0)
    share = float(agreement[0] / agreement[1])
    wrong = sum(run(mirror, count, "mirror"))
    pairs = [acceptance.change_outside(seed, 2, flavum_mm_lr=(8.0, 8.0)) for seed in range(5)]
    beyond, within = max(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
    return [
        (
            "1 grades of the segmentation",
            f"{share:.4f} of {agreement[1]}",
            f"at least {LIMITS.agreement}",
            share >= LIMITS.agreement,
        ),
        ("3 grades that miss the mirror", f"{wrong} in {count} studies", "0", wrong == 0),
        (
            "4 change elsewhere / at the disc",
            f"{beyond:.3f} / {within:.3f}",
            f"below {LIMITS.elsewhere} / above {LIMITS.there}",
            beyond < LIMITS.elsewhere and within > LIMITS.there,
        ),
    ]


def prevalence_rows(run: Runner, mode: Mode, count: int) -> list[Row]:
    found = run(partial(acceptance.lumbar_grades, mode=mode), count, f"prevalence, {mode.value}")
    rows = []
    for condition, aim in AIMS[mode].items():
        shares = shares_of(found, condition, aim)
        for level in range(len(aim)):
            seen, asked = ("/".join(f"{100.0 * value:.1f}" for value in table[level]) for table in (shares, aim))
            close = bool(np.abs(shares[level] - aim[level]).max() <= LIMITS.prevalence)
            rows.append(
                (
                    f"2 {mode.value} {condition} {LEVELS[level]}",
                    f"{seen} % of {count}",
                    f"{asked} +- {100 * LIMITS.prevalence:.0f}",
                    close,
                )
            )
    return rows


def audit_rows(run: Runner, count: int) -> list[Row]:
    studies = run(audit, count, "shortcuts")
    present = np.array([label for _, label in studies])
    rows = []
    for name in studies[0][0]:
        found = discrimination(np.array([features[name] for features, _ in studies]), present)
        text = f"AUC {found.auc:.3f} ({found.low:.3f} to {found.high:.3f})"
        rows.append((f"5 {name}, {present.mean():.2f} of {count}", text, "interval reaches 0.5", found.at_chance))
    return rows


def image_rows(seed: int) -> list[Row]:
    contrasts = [acceptance.contrasts(n) for n in range(100)]
    rows: list[Row] = []
    for name, (low, high) in acceptance.CONTRASTS.items():
        value = float(np.median([one[name] for one in contrasts]))
        rows.append((f"6 {name}", f"{value:.3f}", f"{low:.2f} to {high:.2f}", low <= value <= high))
    sharp, vague = LIMITS.edge_px
    edges = np.median([acceptance.edge_widths_px(n) for n in range(100)], axis=0)
    rows.append(
        (
            "6 edge width, pixels",
            f"{edges[0]:.2f} and {edges[1]:.2f}",
            f"{sharp} to {vague}",
            bool((edges >= sharp).all() and (edges <= vague).all()),
        )
    )
    seconds, memory = cost(seed)
    one, other = (make_study(seed + 1, mode="rsna") for _ in range(2))
    pairs = zip(stacks_of(one), stacks_of(other), strict=True)
    same = all(a.series.voxels_SRC.tobytes() == b.series.voxels_SRC.tobytes() for a, b in pairs)
    error = round_trip_error_px(seed)
    return [
        *rows,
        ("7 same seed, same bytes", str(same), "True", same),
        ("8 key-points after DICOM, pixels", f"{error:.3f}", f"below {LIMITS.keypoint_px}", error < LIMITS.keypoint_px),
        ("9 seconds a three-series study", f"{seconds:.2f}", f"{LIMITS.seconds} with numba", seconds <= LIMITS.seconds),
        ("9 memory of a worker, MB", f"{memory:.0f}", f"{LIMITS.memory_mb:.0f}", memory <= LIMITS.memory_mb),
    ]


def cost(seed: int) -> tuple[float, float]:
    """Seconds of one core a study, and the most memory (MB) of a process that makes nothing else."""
    code = f"from spinephantom.acceptance import cost; print(*cost({seed}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def stacks_of(study: acceptance.PhantomStudy) -> Iterable[acceptance.PhantomStack]:
    return (stack for item in study.series for stack in item.stacks)


def round_trip_error_px(seed: int) -> float:
    """Largest distance of a key-point from its place after writing and reading a study as DICOM."""
    study = make_study(seed, mode="balanced", size=256, axial_size=256)
    with tempfile.TemporaryDirectory() as folder:
        write_dicom(study, Path(folder))
        read = read_study(find_studies([Path(folder)])[0]).series
    items = {item.name: item for item in study.series}
    worst = 0.0
    for point in study.keypoints:
        made = items[point.series].stacks[point.stack].series
        near = min(
            read, key=lambda one: (one.view != made.view, float(np.abs(one.affine_vox2mm - made.affine_vox2mm).max()))
        )
        voxel = near.to_vox(np.array(point.world_mm))
        worst = max(worst, float(np.abs(voxel - [point.slice_index, point.row, point.column]).max()))
    return worst


if __name__ == "__main__":
    main()
