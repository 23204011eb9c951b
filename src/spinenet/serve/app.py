"""``spinenet app``: a page on this computer alone to drop studies into, see them graded, read, correct and export.

It listens on 127.0.0.1 and answers nobody who does not know the random token of this run, sends nothing anywhere and
loads nothing from elsewhere. A browser gets the token once, in the address it is opened with, and then keeps it as a
cookie; a page of another site can neither read nor send anything (SameSite, Host and Origin are checked).
"""

import mimetypes
import secrets
import socket
import tempfile
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs

from spinenet.errors import OutputError
from spinenet.report.page.html import environment, in_script, inline_script
from spinenet.report.page.page_words import page_words
from spinenet.report.page.worklist import WORKLIST_FILE
from spinenet.serve.workspace import Workspace

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import (
        FileResponse,
        HTMLResponse,
        JSONResponse,
        PlainTextResponse,
        RedirectResponse,
        Response,
    )
    from starlette.routing import Route
except ImportError as error:
    raise OutputError("the local page needs Starlette and uvicorn: pip install 'spinenet-mri[app]'") from error

HOST = "127.0.0.1"
MAX_CORRECTIONS = 1 << 20
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # without one a form says that it is from nowhere
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
Answer = Callable[[Request], Awaitable[Response]]


class LocalApp:
    """The routes of one run, for the workspace they show, the token that opens them and the port they are on."""

    def __init__(self, workspace: Workspace, token: str, port: int) -> None:
        self.workspace, self.token, self.port = workspace, token, port
        self.cookie = f"spinenet-{port}"

    def starlette(self) -> Starlette:
        """The application."""
        routes = [
            Route("/", self._guarded(self.page)),
            Route("/drops", self._guarded(self.begin), methods=["POST"]),
            Route("/drops/{key}", self._guarded(self.receive), methods=["PUT"]),
            Route("/drops/{key}", self._guarded(self.close), methods=["POST"]),
            Route("/progress", self._guarded(self.progress)),
            Route("/corrections", self._guarded(self.correct), methods=["POST"]),
            Route("/studies/{key}", self._guarded(self.delete), methods=["DELETE"]),
            Route("/results.zip", self._guarded(self.export)),
            Route("/results/{name:path}", self._guarded(self.result)),
        ]
        return Starlette(routes=routes)

    def address(self) -> str:
        """What a browser is opened with."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    def _guarded(self, answer: Answer) -> Answer:
        """An answer for who knows the token; what cannot be done is a line of text."""

        async def guarded(request: Request) -> Response:
            refused = self._refusal(request)
            if refused is not None:
                response = refused
            else:
                try:
                    response = await answer(request)
                except OutputError as error:
                    response = PlainTextResponse(str(error), 400)
            response.headers.update(HEADERS)
            return response

        return guarded

    def _refusal(self, request: Request) -> Response | None:
        here = {f"{HOST}:{self.port}", f"localhost:{self.port}"}
        origin = request.headers.get("origin")
        foreign = origin is not None and origin not in {f"http://{name}" for name in here}
        if request.headers.get("host") not in here or foreign:
            return PlainTextResponse("not from here", 403)
        given = request.query_params.get("token", "")
        if request.method == "GET" and request.url.path == "/" and _same(given, self.token):
            response = RedirectResponse("/", 303)
            response.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
            return response
        if not _same(request.cookies.get(self.cookie, ""), self.token):
            return PlainTextResponse("open the address that `spinenet app` printed", 403)
        return None

    async def page(self, request: Request) -> Response:
        """The page to drop into."""
        script, script_hash = inline_script("page.js", "app.js")
        words = page_words(self.workspace.options.language)
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script_hash}'; connect-src 'self'; "
            "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        html = (
            environment()
            .get_template("app.html")
            .render(
                t=words,
                **words.frame,
                script=script,
                script_words=in_script(words.in_scripts(script)) or "{}",
                folder=str(self.workspace.folder.resolve()),
            )
        )
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})

    async def begin(self, request: Request) -> Response:
        """Begin a drop."""
        return JSONResponse({"key": self.workspace.begin()})

    async def receive(self, request: Request) -> Response:
        """Take a file of a drop, a piece at a time."""
        with self.workspace.receive(request.path_params["key"], request.query_params.get("name", "")) as file:
            async for piece in request.stream():
                await run_in_threadpool(file.write, piece)
        return Response(status_code=204)

    async def close(self, request: Request) -> Response:
        """Let a drop be graded."""
        self.workspace.close(request.path_params["key"])
        return Response(status_code=204)

    async def progress(self, request: Request) -> Response:
        """How far everything is."""
        is_there = (self.workspace.results / WORKLIST_FILE).exists()
        return JSONResponse({"drops": self.workspace.progress(), "results": is_there})

    async def correct(self, request: Request) -> Response:
        """Take what a reader changed on a study's page."""
        content = b""
        async for piece in request.stream():
            content += piece
            if len(content) > MAX_CORRECTIONS:
                raise OutputError("too much for corrections")
        (text,) = parse_qs(content.decode("utf-8", "replace")).get("corrections", [""])[:1]
        self.workspace.correct(text.encode())
        return RedirectResponse("/", 303)

    async def delete(self, request: Request) -> Response:
        """Delete a study with its images."""
        self.workspace.delete(request.path_params["key"])
        return Response(status_code=204)

    async def result(self, request: Request) -> Response:
        """A file of the results."""
        results = self.workspace.results.resolve()
        path = (results / request.path_params["name"]).resolve()
        if not path.is_relative_to(results) or _is_hidden(path.relative_to(results)) or not path.is_file():
            return PlainTextResponse("no such result", 404)
        return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream")

    async def export(self, request: Request) -> Response:
        """All results as one archive."""
        path = await run_in_threadpool(_archive, self.workspace.results)
        gone = BackgroundTask(path.unlink)
        return FileResponse(path, media_type="application/zip", filename="spinenet-results.zip", background=gone)


def _same(given: str, expected: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell how much of them is."""
    return secrets.compare_digest(given.encode(), expected.encode())


def _archive(results: Path) -> Path:
    """The results in an archive that is to be deleted."""
    with (
        tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for path in sorted(results.rglob("*")):
            if path.is_file() and not _is_hidden(path.relative_to(results)):
                archive.write(path, path.relative_to(results))
    return Path(file.name)


def _is_hidden(inner: Path) -> bool:
    """Whether it is the program's own: salt and lock."""
    return any(part.startswith(".") for part in inner.parts)


def serve(workspace: Workspace, port: int, opened: Callable[[str], None]) -> None:
    """Run the page until it is stopped; ``opened`` gets its address as soon as it answers. Port 0 is any free one.
    OutputError where it cannot listen there."""
    listener = socket.socket()
    try:
        listener.bind((HOST, port))
    except OSError as error:
        raise OutputError(f"port {port} is taken; name another with --port, or none for any") from error
    workspace.start()
    local = LocalApp(workspace, secrets.token_urlsafe(24), listener.getsockname()[1])
    server = uvicorn.Server(uvicorn.Config(local.starlette(), log_level="warning", access_log=False, lifespan="off"))
    listener.listen()
    opened(local.address())
    server.run(sockets=[listener])
