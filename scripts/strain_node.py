"""Does a node lose anything? Three senders, kills, aborts, late and corrected images, full disks, an absent archive.

python scripts/strain_node.py 500 --folder NEW_FOLDER

Runs ``spinenet listen`` as it is installed, with the bundle in the package, on small synthetic studies of two series.
Two senders speak DICOM and one STOW-RS; they abort associations, send one series late in every third study and a
corrected image in every fourth, before, while or after the study is graded, and repeat whatever was not acknowledged.
Meanwhile the node is killed (SIGKILL) again and again, its disk is filled (where a file system may be mounted on
FOLDER, which needs root), and one of two destinations is away until the last study was sent. Senders keep pace with the
node and kills with what it grades, so that a slow machine strains it no less. In the end every acknowledged image, in
the version that was acknowledged last, has to lie in the node; each study's one result has to be made from these very
images; and each destination has to hold that result as the only one that no other takes the place of. Exit code 1 where
that is not so.

With ``--stub-grader`` no image is graded: a report that names the images' digest stands for the grades. What is
strained is then the bookkeeping alone, with many more studies in the same time.
"""

import copy
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt

from spinenet.readers import find_studies
from spinenet.readers.fingerprints import images_digest
from spinenet.report.dicom.text_report import write_words
from spinenet.report.options import ReportOptions
from spinenet.report.study_files import REPORT_SUFFIX, REPORTS_FOLDER
from spinenet.report.tables import append, recover, study_row
from spinenet.serve.node import listening
from spinenet.serve.node.incoming import digest_of_uid
from spinenet.serve.node.state import SentObject
from spinenet.serve.node.study_grader import complete, origin_in, outgoing
from spinenet.serve.node.web_archive import encoded
from spinenet.study import StudyResult
from spinephantom import make_study
from spinephantom.patient.pathology import Mode
from spinephantom.write.dicom_files import write_dicom

SENDERS = ("MR1", "MR2", "WEB")
PLAIN = "from spinenet.cli import main; main()"
STUB = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from strain_node import stub; stub(); {PLAIN}"
MEGABYTES = 4
"""Of a study with its results."""
PORTION = 12
"""Studies between two fillings of the disk."""
BACKLOG = 6
"""While more studies wait to be graded, senders pause."""
LATEST = 6
"""What comes late comes before so many more studies of its sender."""


@dataclass
class Run:
    """What has happened, and what must hold in the end."""

    folder: Path
    chance: random.Random
    is_stub: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[str, dict[str, str]] = field(default_factory=dict)
    """Study UID -> image UID -> the version that was acknowledged last."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, by: int = 1) -> None:
        """Count something that happened."""
        with self.lock:
            self.counts[what] += by


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Archive:
    """A destination: what it took, and which reports take the place of which."""

    def __init__(self, title: str, port: int) -> None:
        self.title, self.port = title, port
        self.reports: dict[str, set[str]] = {}
        self.replaced: set[str] = set()
        self._server: Any = None

    def open(self) -> None:
        """Take what comes from now on."""
        node = AE(self.title)
        node.supported_contexts = AllStoragePresentationContexts
        self._server = node.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )

    def close(self) -> None:
        """Take no more."""
        if self._server is not None:
            self._server.shutdown()

    def _store(self, event: Any) -> int:
        data = event.dataset
        if data.Modality == "SR":
            self.reports.setdefault(str(data.StudyInstanceUID), set()).add(str(data.SOPInstanceUID))
            for study in data.get("PredecessorDocumentsSequence", ()):
                for series in study.ReferencedSeriesSequence:
                    self.replaced |= {str(one.ReferencedSOPInstanceUID) for one in series.ReferencedSOPSequence}
        return 0

    def final(self, study: str) -> set[str]:
        """Reports of a study that no other takes the place of."""
        return self.reports.get(study, set()) - self.replaced


class NodeProcess:
    """``spinenet listen``, killed and started again."""

    def __init__(self, run: Run, archives: list[Archive]) -> None:
        self.run, self.port, self.web_port = run, free_port(), free_port()
        places = [f"{one.title}@127.0.0.1:{one.port}" for one in archives]
        settings = {
            "out": str(run.folder / "node"),
            "allow": ["MR1@127.0.0.1", "MR2@127.0.0.1"],
            "send_to": places,
            "port": self.port,
            "web_port": self.web_port,
            "wait": 1.0,
            "retry": 0.5,
            "reserve_mb": 1,
            "identify": True,
            "slices": False,
            "log": "json",
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        self.config = run.folder.with_name(run.folder.name + "-node.toml")
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.log = run.folder.with_name(run.folder.name + "-node.log")
        self.process: Any = None
        self.stopped = threading.Event()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-c", STUB if self.run.is_stub else PLAIN, "listen", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log)
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None and self.ask("/health") is None:
            time.sleep(0.1)

    def kill(self) -> None:
        """End it without warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.run.count("kills")

    def ask(self, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, bytes] | None:
        """Status and answer of the web port, None where there is none."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.web_port}{path}", body, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return None

    def graded(self) -> int:
        """How often its log says that a study was graded, or (by the stub) looked at."""
        return self.log.read_bytes().count(b'graded", "study"')

    def waiting(self) -> dict[str, float]:
        """What is to be graded and, by destination, sent; empty where it does not answer."""
        answer = self.ask("/metrics")
        text = answer[1].decode() if answer else ""
        lines = [line.split() for line in text.splitlines() if "_waiting" in line and not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def harass(self, mean: float) -> None:
        """Kill it at a random moment after so many more gradings, until ``stopped``."""
        due = self.run.chance.uniform(0.2, 1.8) * mean
        while not self.stopped.wait(self.run.chance.uniform(0.1, 2)):
            if self.graded() >= due:
                self.kill()
                self.start()
                due = self.graded() + self.run.chance.uniform(0.2, 1.8) * mean


class StubGrader:
    """In the place of the node's own: a result that says from which images it was made, and no grade."""

    def __init__(self, results: Path, bundle: Path, options: ReportOptions) -> None:
        self.results, self.facts = results, {"name": "stub", "version": "0"}

    def grade(self, images: Path, earlier: Sequence[SentObject]) -> list[SentObject]:
        """Note the digest of the images, in the table and in a report."""
        (source,) = find_studies([images])
        out, digest = self.results / images.name, images_digest(source)
        result = StudyResult(source.key, "ok", 0.0, origin=origin_in(images))
        path = out / REPORTS_FOLDER / f"study-stub{REPORT_SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_words(result, [digest], self.facts, path, title="stub", identify=True)
        complete(path, earlier, {})
        recover(out)
        append(out, replace(study_row(result), images=digest), ())
        return [outgoing(path, out)]

    def tell(self, images: Path, title: str, words: str) -> list[SentObject]:
        """Nothing: no study here is one that cannot be graded."""
        return []

    def end(self) -> None:
        """It has no process."""


def stub() -> None:
    """Let the node of this process grade by a stub."""
    listening.StudyGrader = StubGrader  # type: ignore[assignment,misc]


def originals(folder: Path) -> list[Dataset]:
    """The images of a small synthetic study of two series."""
    write_dicom(make_study(2, mode=Mode.SCREENING, axial=False, size=256, slices=3, sub_slices=1), folder)
    return [dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


def study_of(images: list[Dataset], number: int) -> list[Dataset]:
    """The images as those of another patient."""
    made = []
    for image in images:
        data = copy.deepcopy(image)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(data, keyword, generate_uid(entropy_srcs=[str(number), str(image[keyword].value)]))
        data.PatientID, data.PatientName, data.AccessionNumber = f"P{number}", f"Doe^{number}", str(number)
        data.StudyDate = "20260101"
        data.ImageComments = "1"
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        made.append(data)
    return made


def corrected(image: Dataset, version: int) -> Dataset:
    """The image once more, with other pixels."""
    data = copy.deepcopy(image)
    data.ImageComments = str(version)
    pixels = bytearray(data.PixelData)
    pixels[0] = (pixels[0] + version) % 256
    data.PixelData = bytes(pixels)
    return data


class Sender:
    """Sends images until each was acknowledged, by DICOM or, as WEB, by STOW-RS."""

    def __init__(self, run: Run, node: NodeProcess, title: str) -> None:
        self.run, self.node, self.title = run, node, title
        self.chance = random.Random(f"{run.chance.random()}")

    def send(self, images: list[Dataset]) -> None:
        """Send these, again and again."""
        left = list(images)
        while left:
            done = self._by_web(left) if self.title == "WEB" else self._by_dicom(left)
            for image in done:
                with self.run.lock:
                    known = self.run.acknowledged.setdefault(str(image.StudyInstanceUID), {})
                    known[str(image.SOPInstanceUID)] = str(image.ImageComments)
                left.remove(image)
            if left:
                self.run.count("repeats")
                time.sleep(self.chance.uniform(0.2, 1.0))

    def _by_dicom(self, images: list[Dataset]) -> list[Dataset]:
        client = AE(self.title)
        client.acse_timeout = client.dimse_timeout = client.connection_timeout = 20
        client.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
        association = client.associate("127.0.0.1", self.node.port, ae_title="SPINENET")
        done: list[Dataset] = []
        if not association.is_established:
            return done
        breaks = self.chance.randrange(len(images)) if self.chance.random() < 0.15 else None
        for number, image in enumerate(images):
            if number == breaks:
                association.abort()
                self.run.count("aborts")
                return done
            try:
                status = association.send_c_store(image)
            except (RuntimeError, ValueError, OSError):
                return done
            if status.get("Status") == 0x0000:
                done.append(image)
            elif status.get("Status") == 0xA700:
                self.run.count("refused, disk full")
        association.release()
        return done

    def _by_web(self, images: list[Dataset]) -> list[Dataset]:
        parts = [b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + encoded(one) + b"\r\n" for one in images]
        body = b"".join(parts) + b"--xyz--\r\n"
        if self.chance.random() < 0.15:
            body = body[: self.chance.randrange(len(body))]
            self.run.count("aborts")
        answer = self.node.ask("/dicom-web/studies", body, 'multipart/related; type="application/dicom"; boundary=xyz')
        if answer is None or answer[0] not in (200, 202):
            self.run.count("refused, disk full", int(answer is not None and answer[0] == 503))
            return []
        kept = {one["00081155"]["Value"][0] for one in json.loads(answer[1])["00081199"]["Value"]}
        return [one for one in images if one.SOPInstanceUID in kept]


def deliver(sender: Sender, numbers: Sequence[int], images: list[Dataset]) -> None:
    """Send studies: some with a series that comes late, some with an image that is corrected later."""
    due: list[tuple[int, list[Dataset]]] = []
    for place, number in enumerate(numbers):
        while sender.node.waiting().get("spinenet_studies_waiting", 0) > BACKLOG:
            time.sleep(0.5)
        study = study_of(images, number)
        first = study
        if number % 3 == 0:
            series = study[-1].SeriesInstanceUID
            first = [one for one in study if one.SeriesInstanceUID != series]
            late = [one for one in study if one.SeriesInstanceUID == series]
            due.append((place + sender.chance.randrange(LATEST), late))
            sender.run.count("late series")
        sender.send(first)
        if number % 4 == 0:
            due.append((place + sender.chance.randrange(LATEST), [corrected(first[0], 2)]))
            sender.run.count("corrected images")
        for _, more in [one for one in due if one[0] <= place or number == numbers[-1]]:
            time.sleep(sender.chance.uniform(0, 1))
            sender.send(more)
        due = [one for one in due if one[0] > place]


@contextmanager
def small_disk(run: Run, megabytes: int) -> Iterator[Callable[[], None] | None]:
    """A file system of its own on the folder; yields what fills it for some seconds, None where there is none."""
    run.folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(run.folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        yield None
        return
    filler = run.folder / "filler"

    def fill() -> None:
        try:
            with filler.open("wb", buffering=0) as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(run.folder).free)
                while file.write(bytes(1 << 12)):
                    pass
        except OSError:
            run.count("full disks")
        time.sleep(run.chance.uniform(2, 6))
        filler.unlink(missing_ok=True)

    try:
        yield fill
    finally:
        subprocess.run(["umount", "-l", str(run.folder)], check=False)


def settle(node: NodeProcess, run: Run, archives: list[Archive], patience_s: float) -> None:
    """Wait until nothing is to be graded or sent any more."""
    end, quiet = time.monotonic() + patience_s, 0
    while time.monotonic() < end and quiet < 3:
        waiting = node.waiting()
        quiet = quiet + 1 if len(waiting) == 1 + len(archives) and not any(waiting.values()) else 0
        time.sleep(2)
    if quiet < 3:
        run.count("not finished in time")


def wrong(run: Run, archives: list[Archive]) -> list[str]:
    """What is not as it must be, study by study."""
    found = []
    for number, (study, images) in enumerate(sorted(run.acknowledged.items())):
        key = digest_of_uid(study)
        place, out = run.folder / "node" / "incoming" / key, run.folder / "node" / "results" / key
        there = {}
        for path in place.glob("*.dcm"):
            data = dcmread(path)
            there[str(data.SOPInstanceUID)] = str(data.ImageComments)
        if there != images:
            found.append(f"study {number}: the node does not hold what it acknowledged")
            continue
        (source,) = find_studies([place])
        rows = list(recover(out).values()) if out.exists() else []
        if [row.images for row in rows] != [images_digest(source)] or rows[0].status == "failed":
            found.append(f"study {number}: {len(rows)} results, not one of these very images")
            continue
        report = next((out / "reports").glob("study-*.sr.dcm"), None)
        uid = str(dcmread(report).SOPInstanceUID) if report else ""
        for archive in archives:
            if archive.final(study) != {uid}:
                found.append(f"study {number}: {archive.title} holds {len(archive.final(study))} final reports")
    return found


@contextmanager
def running(run: Run, archives: list[Archive], kill_every: float) -> Iterator[NodeProcess]:
    """A node that is killed again and again, and ended in the end, as a system ends it."""
    node = NodeProcess(run, archives)
    killer = threading.Thread(target=node.harass, args=(kill_every,), daemon=True)
    try:
        node.start()
        killer.start()
        yield node
    finally:
        node.stopped.set()
        killer.join()
        node.process.terminate()
        run.counts["exit code of SIGTERM"] = node.process.wait(120)


def strain(run: Run, node: NodeProcess, studies: int, fill: Callable[[], None] | None) -> None:
    """Send all studies while the node is killed and its disk filled."""
    images = originals(run.folder / "original")
    senders = []
    for start, title in enumerate(SENDERS):
        arguments = (Sender(run, node, title), range(start, studies, len(SENDERS)), images)
        senders.append(threading.Thread(target=deliver, args=arguments, daemon=True))
    for sender in senders:
        sender.start()
    reached = 0
    while any(sender.is_alive() for sender in senders):
        time.sleep(0.5)
        if fill and len(run.acknowledged) >= reached + min(PORTION, max(2, studies // 3)):
            reached = len(run.acknowledged)
            fill()


def main(
    studies: int,
    folder: Annotated[Path | None, typer.Option(help="Folder that does not exist yet; a temporary one.")] = None,
    seed: int = 14,
    kill_every: Annotated[float, typer.Option(help="Mean number of gradings between kills.")] = 10.0,
    stub_grader: Annotated[bool, typer.Option("--stub-grader", help="Grade nothing: strain the bookkeeping.")] = False,
    patience: Annotated[float, typer.Option(help="Seconds to wait for the end after the last study.")] = 3600.0,
) -> None:
    """Run, then count what is wrong."""
    place = (folder or Path(tempfile.mkdtemp()) / "strain").absolute()
    if place.exists():
        sys.exit(f"{place}: exists; name a new folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    run, begin = Run(place, random.Random(seed), stub_grader), time.monotonic()
    present, absent = Archive("PACS", free_port()), Archive("AWAY", free_port())
    present.open()
    with small_disk(run, 64 + MEGABYTES * studies) as fill, running(run, [present, absent], kill_every) as node:
        strain(run, node, studies, fill)
        absent.open()
        settle(node, run, [present, absent], patience)
        problems = wrong(run, [present, absent])
    for archive in (present, absent):
        archive.close()
    if not fill:
        typer.echo("the disk was never full: no file system may be mounted here")
    acknowledged = sum(map(len, run.acknowledged.values()))
    counts = ", ".join(f"{count} {what}" for what, count in sorted(run.counts.items()))
    seconds = time.monotonic() - begin
    typer.echo(f"{len(run.acknowledged)} studies, {acknowledged} images acknowledged, in {seconds:.0f} s: {counts}")
    typer.echo("\n".join(problems) or "every acknowledged image is in exactly one right final result")
    if problems or len(run.acknowledged) != studies or run.counts["not finished in time"]:
        sys.exit(1)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    typer.run(main)
