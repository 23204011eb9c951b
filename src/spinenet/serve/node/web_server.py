"""The web port of a node: studies by STOW-RS (PS3.18, 10.5), ``/health`` for who restarts it, ``/metrics`` for who
watches it.

A sender has to show the token of the node where there is one, else to come from an address that is listed, or from this
machine. Bodies are read piece by piece; an image is on disk before it is acknowledged.
"""

import asyncio
import secrets
import socket
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from spinenet.errors import NodeError
from spinenet.serve.node.incoming import OUT_OF_RESOURCES, SUCCESS, Receipt
from spinenet.serve.node.peers import cannot_open
from spinenet.serve.node.prometheus import metrics_text
from spinenet.serve.node.service import Node
from spinenet.serve.node.tls import TlsFiles

try:
    import uvicorn
    from python_multipart.exceptions import MultipartParseError
    from python_multipart.multipart import MultipartParser, parse_options_header
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route
except ImportError as error:
    raise NodeError("a web port needs the extra network: pip install 'spinenet-mri[network]'") from error

MAX_IMAGE_BYTES = 1 << 29
IN_MEMORY_BYTES = 8 << 20
PATIENCE_S = 60.0
"""A sender that sends nothing for so long is hung up on."""
MAX_REQUESTS = 32
WRONG_STUDY = 0xA900


@dataclass(frozen=True)
class WebConfig:
    """Where the web port is, and the token that senders have to show, "" for none."""

    host: str
    port: int
    token: str = field(default="", repr=False)
    tls: TlsFiles = field(default_factory=TlsFiles)


class WebServer:
    """The routes of a node."""

    def __init__(self, node: Node, config: WebConfig) -> None:
        self.node, self.config = node, config

    def starlette(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/metrics", self.metrics),
                Route("/dicom-web/studies", self.store, methods=["POST"]),
                Route("/dicom-web/studies/{study}", self.store, methods=["POST"]),
            ]
        )

    def start(self) -> "uvicorn.Server":
        """Answer in a thread; NodeError where the port cannot be opened."""
        try:
            listening = socket.create_server((self.config.host, self.config.port), backlog=64)
        except OSError as error:
            raise cannot_open(error, self.config.host, self.config.port, "web_port") from error
        tls = self.config.tls
        secret: dict[str, Any] = {}
        if tls.certificate is not None:
            secret = {"ssl_certfile": str(tls.certificate), "ssl_keyfile": str(tls.key) if tls.key else None}
        settings = uvicorn.Config(
            self.starlette(),
            log_config=None,
            access_log=False,
            lifespan="off",
            limit_concurrency=MAX_REQUESTS,
            timeout_keep_alive=10,
            ws="none",
            server_header=False,
            **secret,
        )
        server = uvicorn.Server(settings)
        threading.Thread(target=server.run, args=([listening],), daemon=True).start()
        return server

    async def health(self, request: Request) -> Response:
        """200 while the node receives, grades and sends and has room to, 503 with what is wrong where not."""
        wrong = await run_in_threadpool(self.node.problems)
        return JSONResponse({"status": "ok" if not wrong else "failing", "problems": wrong}, 503 if wrong else 200)

    async def metrics(self, request: Request) -> Response:
        """What happened since the start, in the text format of Prometheus."""
        text = await run_in_threadpool(metrics_text, self.node)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def store(self, request: Request) -> Response:
        """Keep the images of a STOW-RS request, and say of each how that went."""
        if not self._may_send(request):
            return PlainTextResponse("not listed here, or without the token\n", 403)
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind != b"multipart/related" or options.get(b"type", b"application/dicom") != b"application/dicom":
            return PlainTextResponse("send multipart/related; type=application/dicom\n", 415)
        if not (boundary := options.get(b"boundary")):
            return PlainTextResponse("the content type names no boundary\n", 400)
        study, stored = request.path_params.get("study", ""), _Receipts()
        parts = _Parts(boundary)
        try:
            async for part in parts.of(request):
                await run_in_threadpool(self._take, part, study, stored)
        except (MultipartParseError, ValueError, ClientDisconnect, TimeoutError) as error:
            return PlainTextResponse(f"the request is damaged or was broken off ({type(error).__name__})\n", 400)
        return stored.response()

    def _may_send(self, request: Request) -> bool:
        if self.config.token:
            shown = request.headers.get("authorization", "")
            return secrets.compare_digest(shown.encode(), f"Bearer {self.config.token}".encode())
        address = request.client.host if request.client else ""
        listed = [caller for caller in self.node.config.callers if caller.host]
        return address in ("127.0.0.1", "::1") or any(caller.is_at(address) for caller in listed)

    def _take(self, part: IO[bytes], study: str, stored: "_Receipts") -> None:
        """Keep one image."""
        named: dict[str, str] = {}

        def read() -> Any:
            part.seek(0)
            try:
                data = dcmread(part, stop_before_pixels=True)
            except InvalidDicomError as error:
                raise ValueError("not a DICOM file") from error
            named.update(class_uid=str(data.get("SOPClassUID", "")), instance=str(data.get("SOPInstanceUID", "")))
            if study and str(data.StudyInstanceUID) != study:
                named["other"] = "yes"
                raise ValueError("of another study")
            return data

        def encode(data: Any) -> bytes:
            part.seek(0)
            return part.read()

        with part:
            receipt = self.node.take(read, encode)
        stored.add(receipt, named)


class _Parts:
    """The parts of a multipart body, each in a file of its own, as they come."""

    def __init__(self, boundary: bytes) -> None:
        self._whole: list[IO[bytes]] = []
        self._part: IO[bytes] | None = None
        self._left, self.is_over = 0, False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._over,
            },
        )

    async def of(self, request: Request) -> Any:
        """Whole parts; TimeoutError where none comes, ValueError where the body ends before they do."""
        pieces = request.stream().__aiter__()
        try:
            while True:
                try:
                    piece = await asyncio.wait_for(pieces.__anext__(), PATIENCE_S)
                except StopAsyncIteration:
                    break
                await run_in_threadpool(self._parser.write, piece)
                while self._whole:
                    yield self._whole.pop(0)
            if not self.is_over:
                raise ValueError("the last part is not closed")
        finally:
            for part in (*self._whole, *([self._part] if self._part else [])):
                part.close()

    def _begin(self) -> None:
        self._part = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115  # closed by who takes it
        self._left = MAX_IMAGE_BYTES

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._left -= end - start
        if self._part is None or self._left < 0:
            raise ValueError("an image without bounds")
        self._part.write(data[start:end])

    def _end(self) -> None:
        if self._part is not None:
            self._whole.append(self._part)
            self._part = None

    def _over(self) -> None:
        self.is_over = True


class _Receipts:
    """How each image of a request was taken."""

    def __init__(self) -> None:
        self.kept: list[Mapping[str, Any]] = []
        self.failed: list[Mapping[str, Any]] = []
        self.statuses: set[int] = set()

    def add(self, receipt: Receipt, named: Mapping[str, str]) -> None:
        """Note one."""
        self.statuses.add(receipt.status)
        reference: dict[str, Any] = {
            "00081150": {"vr": "UI", "Value": [named.get("class_uid", "")]},
            "00081155": {"vr": "UI", "Value": [named.get("instance", "")]},
        }
        if receipt.status == SUCCESS:
            self.kept.append(reference)
            return
        reason = WRONG_STUDY if "other" in named else receipt.status
        self.failed.append(reference | {"00081197": {"vr": "US", "Value": [reason]}})

    def response(self) -> Response:
        """200 for all, 202 for some, 409 for none, 503 where a full disk is to blame (PS3.18, 10.5.3)."""
        content: dict[str, Any] = {}
        for tag, references in (("00081199", self.kept), ("00081198", self.failed)):
            if references:
                content[tag] = {"vr": "SQ", "Value": references}
        if not self.kept and not self.failed:
            return PlainTextResponse("no image was sent\n", 400)
        full = self.statuses == {OUT_OF_RESOURCES}
        code = 200 if not self.failed else 202 if self.kept else 503 if full else 409
        return JSONResponse(content, code, media_type="application/dicom+json")
