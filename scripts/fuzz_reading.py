"""Feed damaged DICOM studies to reading and prediction: no crash, no hang, no traceback, no grade from garbage.

python scripts/fuzz_reading.py DICOM --cases 2000: takes the studies below DICOM, damages a copy of some slices of one
(bytes, lengths, tags, geometry, pixels), predicts it as ``spinenet predict`` would, and counts what comes out. A case
is reproduced by its number (--first N --cases 1). With --log FILE every answer is kept, and a run that was ended goes
on: cases that went well are not done again, those that went wrong are.
"""

import csv
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import numpy as np
import typer
from pydicom import dcmread

from spinenet.errors import SpinenetError
from spinenet.labels import TARGET
from spinenet.model.bundle import load_bundle
from spinenet.readers import find_studies
from spinenet.serve.batch import predict_source
from spinenet.study import StudyResult, sentence
from spinenet.system.progress import track

HANG_SECONDS = 10
MOST_SLICES = 3
"""Sagittal slices kept of a series: damage shows in one as in twenty."""
TAGS = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "BitsAllocated",
        "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation",
        "RescaleSlope", "RescaleIntercept", "NumberOfFrames", "EchoTime", "RepetitionTime", "SliceThickness",
        "SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "Modality", "SOPClassUID")  # fmt: skip
ODD = ("", "x", "0", "-1", "1e308", "nan", "1\\0\\0\\0\\1\\0", "65536", "\x00\xff")

Damage = Callable[[list[Path], random.Random], bool]
"""Damages files; True where nothing is left that could be graded."""


def bytes_changed(paths: list[Path], chance: random.Random) -> bool:
    """A few bytes of one file in three."""
    for path in chance.sample(paths, max(1, len(paths) // 3)):
        content = bytearray(path.read_bytes())
        for _ in range(chance.choice([1, 4, 30])):
            content[chance.randrange(len(content) if chance.random() < 0.3 else 2000)] = chance.randrange(256)
        path.write_bytes(content)
    return False


def cut_or_grown(paths: list[Path], chance: random.Random) -> bool:
    """Files cut anywhere, emptied, doubled or followed by noise."""
    for path in chance.sample(paths, max(1, len(paths) // 2)):
        content = path.read_bytes()
        cut = content[: chance.randrange(len(content))]
        path.write_bytes(chance.choice([cut, b"", content * 2, content + chance.randbytes(500)]))
    return False


def lengths_changed(paths: list[Path], chance: random.Random) -> bool:
    """Two- and four-byte lengths in the header replaced by large or odd ones."""
    for path in chance.sample(paths, max(1, len(paths) // 2)):
        content = bytearray(path.read_bytes())
        for _ in range(3):
            at = 132 + chance.randrange(1500)
            content[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\1\0\0\0"])
        path.write_bytes(content)
    return False


def tags_changed(paths: list[Path], chance: random.Random) -> bool:
    """Values removed or replaced by ones that mean nothing, in all files or one."""
    for keyword in chance.sample(TAGS, chance.choice([1, 2, 5])):
        value, number = chance.choice([None, *ODD]), chance.choice([0, 1, 7, 32, 65535])
        for path in paths if chance.random() < 0.6 else paths[:1]:
            dataset = dcmread(path)
            if keyword in dataset and value is None:
                delattr(dataset, keyword)
            elif keyword in dataset:
                dataset[keyword]._value = number if dataset[keyword].VR == "US" else value
            _save(dataset, path)
    return False


def geometry_changed(paths: list[Path], chance: random.Random) -> bool:
    """A spine of impossible size, or slices of nowhere: nothing to grade."""
    factor = chance.choice([0.2, 0.4, 3.0, 10.0])
    for path in paths:
        dataset = dcmread(path)
        dataset.PixelSpacing = [float(mm) * factor for mm in dataset.PixelSpacing]
        _save(dataset, path)
    return True


def pixels_replaced(paths: list[Path], chance: random.Random) -> bool:
    """Noise, stripes, blocks or one grey value in place of the patient: nothing to grade."""
    kind, seed = chance.choice(["noise", "stripes", "blocks", "flat", "shuffled"]), chance.randrange(10**6)
    for path in paths:
        dataset = dcmread(path)
        rng = np.random.default_rng(seed)
        rows, columns = dataset.Rows, dataset.Columns
        stored = dataset.pixel_array
        made = {
            "noise": rng.integers(0, 900, (rows, columns)),
            "stripes": np.tile(np.arange(rows)[:, None] // 11 % 2 * 700, (1, columns)),
            "blocks": np.kron(rng.integers(0, 900, (rows // 16 + 1, columns // 16 + 1)), np.ones((16, 16)))[
                :rows, :columns
            ],
            "flat": np.full((rows, columns), 300),
            "shuffled": rng.permutation(stored.ravel()).reshape(rows, columns),
        }[kind]
        dataset.PixelData = made.astype(stored.dtype).tobytes()
        _save(dataset, path)
    return True


def upside_down_anatomy(paths: list[Path], chance: random.Random) -> bool:
    """Images turned on their head or side under headers that know nothing of it: nothing to grade."""
    turns = chance.choice([1, 2, 3])
    for path in paths:
        dataset = dcmread(path)
        stored = np.rot90(dataset.pixel_array, turns)
        dataset.Rows, dataset.Columns = stored.shape
        dataset.PixelData = np.ascontiguousarray(stored).tobytes()
        _save(dataset, path)
    return True


WAYS: tuple[Damage, ...] = (bytes_changed, cut_or_grown, lengths_changed, tags_changed, geometry_changed,
                            pixels_replaced, upside_down_anatomy)  # fmt: skip


def main(
    folder: Path,
    cases: Annotated[int, typer.Option(help="Damaged studies.")] = 2000,
    first: Annotated[int, typer.Option(help="Number of the first.")] = 0,
    model: Annotated[Path | None, typer.Option(help="Bundle.", show_default="the one in the package")] = None,
    log: Annotated[Path | None, typer.Option(help="CSV of all answers; cases that went well are skipped.")] = None,
) -> None:
    """Damage, predict, judge; exit code 1 where a case goes wrong."""
    bundle = load_bundle(model)
    bundle.segment(np.zeros((1, 1, 64, 64), np.float32))  # networks are loaded before the clock runs
    sources = [source for source in find_studies([folder]) if source.frames]
    answers = _read_log(log)
    todo = [case for case in range(first, first + cases) if _is_wrong(answers.get(case))]
    for case in track(todo, "fuzzing"):
        answers[case] = _fuzzed(case, sources[case % len(sources)].frames, bundle)
        if log is not None:
            with log.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow((case, *answers[case]))
    chosen = {case: answers[case] for case in range(first, first + cases)}
    for name, count in sorted(
        Counter(f"{way}: {answer.partition(':')[0]}" for way, _, answer in chosen.values()).items()
    ):
        print(f"{name}: {count}")
    wrong = {case: answer for case, answer in chosen.items() if _is_wrong(answer)}
    for case, (way, _, answer) in wrong.items():
        print(f"case {case}, {way}: {answer}")
    slowest = max(float(seconds) for _, seconds, _ in chosen.values())
    print(f"slowest: {slowest:.1f} s of processor time; wrong: {len(wrong)} of {cases}")
    raise typer.Exit(int(bool(wrong)))


def _fuzzed(case: int, frames: Any, bundle: Any) -> tuple[str, str, str]:
    """The way a case was damaged, seconds of processor time, and the answer."""
    way, chance = WAYS[case % len(WAYS)], random.Random(case)
    with tempfile.TemporaryDirectory() as temporary:
        paths = _copied(frames, Path(temporary), 1 + case % MOST_SLICES)
        try:
            is_garbage = way(paths, chance)
        except (ValueError, TypeError, AttributeError, OSError):
            return way.__name__, "0", "damage that cannot be written"
        start = time.process_time()
        answer = _answer(Path(temporary), bundle, is_garbage)
    return way.__name__, f"{time.process_time() - start:.2f}", answer


def _read_log(log: Path | None) -> dict[int, tuple[str, str, str]]:
    if log is None or not log.exists():
        return {}
    with log.open(encoding="utf-8", newline="") as file:
        return {int(case): (way, seconds, answer) for case, way, seconds, answer in csv.reader(file)}


def _is_wrong(answer: tuple[str, str, str] | None) -> bool:
    return answer is None or answer[2].startswith("WRONG")


def _copied(frames: Any, folder: Path, slices: int) -> list[Path]:
    """The middle sagittal slices of every series as files of their own."""
    by_series: dict[str, list[Any]] = {}
    for frame in sorted(frames, key=lambda frame: frame.position_mm[0]):
        if abs(np.cross(frame.orientation[:3], frame.orientation[3:])[0]) > 0.7:
            by_series.setdefault(frame.series_uid, []).append(frame)
    chosen = [
        frame for several in by_series.values() for frame in several[max(0, (len(several) - slices) // 2) :][:slices]
    ]
    paths = [folder / f"IM{number:03d}.dcm" for number in range(len(chosen))]
    for frame, path in zip(chosen, paths, strict=True):
        path.write_bytes(frame.path.read_bytes())
    return paths


def _answer(folder: Path, bundle: Any, is_garbage: bool) -> str:
    """What prediction says of the folder: ``graded``, ``refused`` or ``WRONG: ...``."""
    signal.signal(signal.SIGALRM, _hang)
    signal.signal(signal.SIGPROF, _hang)
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)  # of processor time, since the machine may be busy
    signal.alarm(HANG_SECONDS * 360)
    try:
        results = [predict_source(source, bundle) for source in find_studies([folder])]
    except SpinenetError:
        return "refused"
    except Hang:
        return "WRONG: a hang"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    faults = [flag for result in results for flag in result.flags if flag.code in ("fault", "system")]
    if faults:
        return f"WRONG: {sentence(faults)}"
    graded = [result for result in results if result.predictions]
    if any(not _is_sound(result) for result in graded):
        return "WRONG: a grade off its scale"
    if graded and is_garbage:
        return f"WRONG: graded garbage: {graded[0].message[:200]}"
    return "graded" if graded else "refused"


def _is_sound(result: StudyResult) -> bool:
    return all(
        one.grade in TARGET[one.target].grades and abs(sum(one.probabilities) - 1) < 1e-6 for one in result.predictions
    )


def _save(dataset: Any, path: Path) -> None:
    dataset.save_as(path, enforce_file_format=False)


class Hang(BaseException):
    """A case took too long; no ``except Exception`` may swallow it."""


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang


if __name__ == "__main__":
    typer.run(main)
