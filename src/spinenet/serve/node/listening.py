"""A node that grades what it is sent, each study's results in a folder of its own, until it is stopped."""

import datetime
import os
import threading
from collections.abc import Callable

from spinenet.errors import NodeError
from spinenet.labels import RESEARCH_ONLY
from spinenet.model.bundle import Bundle
from spinenet.report.options import ReportOptions
from spinenet.serve.batch import grade_folder
from spinenet.serve.node.service import Node, NodeConfig


def listen(config: NodeConfig, bundle: Bundle, options: ReportOptions, say: Callable[[str], None]) -> None:
    """Run a node; ``say`` gets its log, a line at a time. NodeError where it cannot be started as it is asked for."""
    if config.destinations and not options.identify:
        raise NodeError("--send-to needs --identify, or an archive would make a new patient of each result")
    os.umask(0o077)  # images and results are the owner's alone

    def log(line: str) -> None:
        say(f"{datetime.datetime.now().astimezone().isoformat(timespec='seconds')} {line}")

    results = config.folder / "results"
    node = Node(config, lambda images: grade_folder(images, results / images.name, bundle, options), log)
    server = node.start()
    log(f"{config.aet} listens on {config.host}:{config.port} for {', '.join(config.callers)}. {RESEARCH_ONLY}")
    try:
        node.work(threading.Event())
    finally:
        server.shutdown()
