"""An archive that speaks DICOMweb: results to it by STOW-RS, studies found by QIDO-RS and taken by WADO-RS."""

import functools
import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from spinenet.errors import NodeError
from spinenet.readers.dicom.assembly import is_uid
from spinenet.serve.node.incoming import SUCCESS, Receipt, Take, digest_of_uid
from spinenet.serve.node.peers import RefusedObjectError, UnreachableError
from spinenet.system.files import write_private

try:
    from dicomweb_client.web import DICOMwebClient
    from requests import HTTPError, RequestException
except ImportError as error:
    raise NodeError("DICOMweb needs the extra network: pip install 'spinenet-mri[network]'") from error

TIMEOUT_S = (15.0, 60.0)
"""To be connected, and between two pieces of an answer."""
BUSY = (408, 429, 500, 502, 503, 504, 401, 403)
"""Answers that speak of the archive, not of what it was sent."""


def _itself(data: Dataset) -> Dataset:
    return data


def encoded(data: Any) -> bytes:
    """A data set as a file."""
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


@dataclass(frozen=True)
class WebArchive:
    """An archive by the URL under which it has ``/studies``."""

    url: str
    token: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str, token: str = "") -> "WebArchive":
        """From its URL; NodeError where it is none."""
        if not re.fullmatch(r"https?://[^/@\s]+(/[^\s?#]*)?", text):
            named = re.sub(r"//[^/@]*@", "//...@", text)  # whatever stands there is not for a log
            raise NodeError(f"{named!r} is no DICOMweb archive; write https://HOST/PATH, a token in a file")
        return cls(text.rstrip("/").removesuffix("/studies"), token)

    @property
    def called(self) -> str:
        """As it is written on a command line."""
        return self.url

    def send(self, files: Sequence[Path], aet: str, taken: Callable[[Path], object]) -> None:
        """STOW-RS files to it, and say of each when it was taken; NodeError where one is not."""
        client = self._client()
        for path in files:
            data = dcmread(path)
            with self._asked(f"did not take a {data.Modality} object"):
                answer = client.store_instances([data])
            if answer.get("FailedSOPSequence"):  # some archives send an empty one
                raise RefusedObjectError(f"{self.url} did not take a {data.Modality} object")
            taken(path)

    def studies(self, **wanted: str) -> list[Dataset]:
        """Studies that it finds by these attributes."""
        with self._asked("cannot be searched"):
            found = self._client().search_for_studies(search_filters=wanted, limit=100)
        return [Dataset.from_json(one) for one in found]

    def retrieve(self, study_uid: str, take: Take) -> None:
        """Take the images of a study, one after the other."""
        with self._asked("cannot give a study"):
            for data in self._client().iter_study(study_uid):
                take(functools.partial(_itself, data), encoded)

    def _client(self) -> Any:
        logging.getLogger("dicomweb_client").setLevel(logging.CRITICAL)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else None
        client = DICOMwebClient(self.url, headers=headers, timeout=TIMEOUT_S)
        client.set_http_retry_params(retry=False)  # the node tries again in its own time
        return client

    @contextmanager
    def _asked(self, failing: str) -> Iterator[None]:
        """What goes wrong with a question, in one line."""
        try:
            yield
        except HTTPError as error:
            code = error.response.status_code if error.response is not None else 0
            kind = UnreachableError if code in BUSY else RefusedObjectError
            raise kind(f"{self.url} {failing} (answered {code})") from error
        except RequestException as error:
            raise UnreachableError(f"{self.url} does not answer ({type(error).__name__})") from error
        except (ValueError, TypeError, KeyError, AttributeError, EOFError) as error:
            raise RefusedObjectError(f"{self.url} {failing}: its answer cannot be understood") from error


def fetch(address: str, out: Path, token: str) -> int:
    """Take a study by its address in an archive, ``.../studies/UID``, into a folder; returns the number of images.

    NodeError where the address names no study, or the archive does not give it.
    """
    place, _, uid = address.rstrip("/").rpartition("/studies/")
    if not is_uid(uid):
        raise NodeError(f"{address!r} names no study; write https://HOST/PATH/studies/UID")
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    count = 0

    def take(read: Callable[[], Any], encode: Callable[[Any], bytes], *, is_asked: bool = False) -> Receipt:
        nonlocal count
        data = read()
        write_private(out / f"{digest_of_uid(str(data.SOPInstanceUID))}.dcm", encode(data))
        count += 1
        return Receipt(SUCCESS)

    WebArchive.parse(place, token).retrieve(uid, take)
    return count
