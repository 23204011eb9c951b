"""An archive that speaks DICOM: studies found by C-FIND and sent by C-MOVE, or taken by C-GET (PS3.4, annex C)."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import ALL_TRANSFER_SYNTAXES, build_role, evt
from pynetdicom.presentation import build_context

from spinenet.serve.node.incoming import TAKEN, Take
from spinenet.serve.node.peers import Peer, RefusedObjectError, UnreachableError, associated
from spinenet.serve.node_settings import Retrieval

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
"""Study Root Query/Retrieve Information Model."""
ASKED = (
    "StudyInstanceUID",
    "StudyDate",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "ModalitiesInStudy",
    "StudyDescription",
)


@dataclass(frozen=True)
class DicomArchive:
    """An archive, the title that this node shows it, and the way of taking studies from it."""

    peer: Peer
    aet: str
    by: Retrieval

    @property
    def called(self) -> str:
        """As it is written on a command line."""
        return self.peer.called

    def studies(self, **wanted: str) -> list[Dataset]:
        """Studies that it finds by these attributes."""
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        for keyword in ASKED:
            setattr(query, keyword, wanted.get(keyword, ""))
        with associated(self.peer, self.aet, [build_context(FIND)]) as association:
            answers = list(self._asked(lambda: association.send_c_find(query, FIND)))
        return [found for _, found in answers if found is not None]

    def retrieve(self, study_uid: str, take: Take) -> None:
        """Have a study's images sent: to this node's port by C-MOVE, to ``take`` by C-GET."""

        def store(event: Any) -> int:
            return take(functools.partial(getattr, event, "dataset"), lambda data: event.encoded_dataset()).status

        query = Dataset()
        query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study_uid
        if self.by is Retrieval.MOVE:
            with associated(self.peer, self.aet, [build_context(MOVE)]) as association:
                list(self._asked(lambda: association.send_c_move(query, self.aet, MOVE)))
            return
        contexts = [build_context(GET), *(build_context(uid, ALL_TRANSFER_SYNTAXES) for uid in TAKEN)]
        roles = [build_role(uid, scp_role=True) for uid in TAKEN]
        with associated(self.peer, self.aet, contexts, roles, [(evt.EVT_C_STORE, store)]) as association:
            list(self._asked(lambda: association.send_c_get(query, GET)))

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """Answers until the last one; UnreachableError where none comes, RefusedObjectError where it is a refusal."""
        try:
            for status, found in ask():
                if "Status" not in status:
                    raise UnreachableError(f"{self.peer.aet} broke off while it was asked for studies")
                if status.Status not in (0x0000, 0xFF00, 0xFF01) and status.Status >> 12 != 0xB:
                    raise RefusedObjectError(f"{self.peer.aet} gives no studies (answered 0x{status.Status:04X})")
                yield status, found
        except (ValueError, RuntimeError) as error:
            raise RefusedObjectError(f"{self.peer.aet} cannot be asked for studies in this way: {error}") from error
