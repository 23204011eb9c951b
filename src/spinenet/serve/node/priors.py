"""Earlier studies of a patient, asked for after a study was graded: graded too and compared; what changed is sent.

A study counts as the patient's where patient id, and birth date and name where both tell them, are the same; it is an
earlier one where its date is. It is graded for the comparison alone: its own result is sent nowhere.
"""

import functools
import logging
import re
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pydicom.dataset import Dataset

from spinenet.errors import SpinenetError
from spinenet.report.page import change
from spinenet.report.study_files import DOCUMENT_SUFFIX, REPORTS_FOLDER
from spinenet.serve.node.delivery import Backoff
from spinenet.serve.node.incoming import Take, digest_of_uid
from spinenet.serve.node.peers import UnreachableError
from spinenet.serve.node.service import Node
from spinenet.serve.node.study_grader import StudyGrader, origin_in
from spinenet.study import Origin
from spinenet.system.files import write_text

LOG = logging.getLogger(__name__)
MAX_TRIES = 5
MOST = 3
"""So many earlier studies are looked at until one can be compared, the latest first."""
TITLE = "spinenet: changes"


class PriorSource(Protocol):
    """An archive that is asked for studies."""

    def studies(self, **wanted: str) -> list[Dataset]:
        """Studies that it finds by these attributes."""

    def retrieve(self, study_uid: str, take: Take) -> None:
        """Have a study's images sent to this node's port or to ``take``."""


class Priors:
    """Compares what a node has graded with what an archive has from before."""

    def __init__(self, node: Node, archive: PriorSource, grader: StudyGrader, retry_s: float) -> None:
        self.node, self.archive, self.grader, self.retry_s = node, archive, grader, retry_s
        node.recall = self._recall
        self.folder = node.config.folder / "priors"
        shutil.rmtree(self.folder, ignore_errors=True)  # of a run that was killed; they are asked for again

    def run(self, stop: threading.Event, pause_s: float) -> None:
        """Compare studies as they are graded, until ``stop`` is set."""
        wait = Backoff(self.retry_s)
        while not stop.wait(pause_s):
            if not wait.is_over:
                continue
            try:
                for number, study, tries in self.node.state.comparisons():
                    if self._compare(number, study, tries):
                        wait = Backoff(self.retry_s)
                    else:
                        wait.fail()
            except Exception:  # whatever it is, other studies are to be compared
                LOG.debug("no priors", exc_info=True)
                wait.fail()

    def _compare(self, number: int, study: str, tries: int) -> bool:
        """Find, grade and compare; False where the archive is to be asked again later."""
        state, tell = self.node.state, self.node.tell
        try:
            told = self._changes(study)
        except (SpinenetError, OSError) as error:
            LOG.debug("study %s: not compared", study, exc_info=True)
            if tries + 1 >= MAX_TRIES or not isinstance(error, UnreachableError | OSError):
                state.compared(number)
                tell("not_compared", f"not compared with earlier studies: {error}", study)
                return True
            state.compare_again(number)
            tell("priors_failed", f"{error}; earlier studies are asked for again later", study)
            return False
        if told:
            made = self.grader.tell(self.node.incoming.folder / study, TITLE, told)
            state.queue(study, made, self.node.peers)
        state.compared(number)
        tell("compared", "compared with an earlier study" if told else "no earlier study to compare with", study)
        return True

    def _recall(self, uid: str) -> None:
        """Have the archive send what is deleted here of a study of which more has come."""
        try:
            self.archive.retrieve(uid, functools.partial(self.node.take, is_asked=True))
        except UnreachableError:
            raise  # to be asked again
        except SpinenetError as error:  # it does not have it: what is here is said not to be graded
            self.node.tell("not_recalled", f"{error}", digest_of_uid(uid))

    def _changes(self, study: str) -> str:
        """What changed since an earlier study, "" where there is none."""
        current = self.grader.results / study
        origin = origin_in(self.node.incoming.folder / study)
        if origin is None or not origin.patient_id or not _graded(current):
            return ""
        why = ""
        for uid in self._earlier(origin)[:MOST]:
            prior = self.grader.results / digest_of_uid(uid)
            if not _graded(prior):
                self._grade(uid)
            if _graded(prior):
                try:
                    return self._told(prior, current)
                except SpinenetError as error:
                    why = str(error)
        if why:
            self.node.tell("not_compared", why, study)
        return ""

    def _told(self, prior: Path, current: Path) -> str:
        """Compare two results, keep the page beside the later one, and say what changed."""
        comparison = change.compare(prior, current)
        write_text(current / "changes.csv", change.table(comparison.changes))
        write_text(current / "changes.html", change.page(comparison))
        pair = comparison.pairs[0]
        caution = f" ({pair.caution})" if pair.caution else ""
        said = " ".join(pair.sentences) or "No change beyond the noise of the measurement."
        return f"Compared with the study of {pair.prior.rpartition(', ')[2]}{caution}: {said}"

    def _earlier(self, origin: Origin) -> list[str]:
        """Study UIDs of the patient's earlier MR studies, the latest first."""
        date = _digits(dict(origin.elements).get("StudyDate", ""))
        if not date:
            return []
        found = [
            (_digits(str(one.get("StudyDate", ""))), str(one.get("StudyInstanceUID", "")))
            for one in self.archive.studies(PatientID=origin.patient_id, ModalitiesInStudy="MR")
            if is_of(one, origin)
        ]
        return [uid for day, uid in sorted(found, reverse=True) if "" < day < date and uid != origin.study_uid]

    def _grade(self, uid: str) -> None:
        """Take an earlier study from the archive and grade it."""
        study = digest_of_uid(uid)
        place, incoming = self.folder / study, self.node.incoming
        self.folder.mkdir(parents=True, exist_ok=True)
        incoming.asked_for[study] = place
        try:
            self.archive.retrieve(uid, functools.partial(self.node.take, is_asked=True))
        finally:
            del incoming.asked_for[study]
        try:
            if place.exists():
                self.grader.grade(place, ())
        finally:
            shutil.rmtree(place, ignore_errors=True)


def is_of(found: Dataset, origin: Origin) -> bool:
    """Whether a study that was found is the patient's, by all that both tell."""
    birth = dict(origin.elements).get("PatientBirthDate", "")
    pairs = (
        (_digits(str(found.get("PatientBirthDate", ""))), _digits(birth)),
        (_letters(str(found.get("PatientName", ""))), _letters(origin.patient_name)),
    )
    same_id = str(found.get("PatientID", "")).strip() == origin.patient_id.strip()
    return same_id and all(one == other for one, other in pairs if one and other)


def _graded(out: Path) -> Sequence[Path]:
    """Documents of results in a folder."""
    return list((out / REPORTS_FOLDER).glob(f"*{DOCUMENT_SUFFIX}"))


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().casefold()
