"""A running Orthanc, an archive that is not ours."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ward import free_port, until

ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
DICOMWEB = next(Path("/usr/share/orthanc/plugins").glob("libOrthancDicomWeb.so"), None)


class Archive:
    """A running Orthanc that knows the node as ``spinenet``."""

    def __init__(self, folder: Path, node_port: int, plugins: Sequence[str] = ()) -> None:
        self.http, self.dicom = free_port(), free_port()
        config = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": "ARCHIVE",
            "AuthenticationEnabled": False,
            "RemoteAccessAllowed": False,
            "Plugins": list(plugins),
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "DicomModalities": {"spinenet": ["SPINENET", "127.0.0.1", node_port]},
        }
        (folder / "orthanc.json").write_text(json.dumps(config))
        self.log = (folder / "orthanc.log").open("wb")
        self.process = subprocess.Popen([str(ORTHANC), str(folder / "orthanc.json")], stdout=self.log, stderr=self.log)
        until(lambda: self.ask("/system"), 60.0)

    @property
    def web(self) -> str:
        """Where it speaks DICOMweb."""
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def ask(self, path: str, body: bytes | None = None) -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", body, timeout=60) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()
