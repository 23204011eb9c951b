"""A node that grades what it is sent, each study's results in a folder of its own, until it is stopped."""

import os
import signal
from collections.abc import Callable

from spinenet.errors import NodeError
from spinenet.labels import RESEARCH_ONLY
from spinenet.model.bundle import Bundle
from spinenet.report.options import ReportOptions
from spinenet.serve.node.events import Event, LogFormat, line_of
from spinenet.serve.node.service import Node, NodeConfig
from spinenet.serve.node.study_grader import StudyGrader


def listen(
    config: NodeConfig, bundle: Bundle, options: ReportOptions, style: LogFormat, say: Callable[[str], None]
) -> None:
    """Run a node until it is told to end; ``say`` gets its log, a line at a time. NodeError where it cannot be started
    as it is asked for."""
    if config.destinations and not options.identify:
        raise NodeError("--send-to needs --identify, or an archive would make a new patient of each result")
    os.umask(0o077)  # images and results are the owner's alone

    def tell(event: Event) -> None:
        say(line_of(event, style))

    grader = StudyGrader(config.folder / "results", bundle.path, options)
    node = Node(config, grader, tell)
    server = node.start()
    callers = ", ".join(caller.aet for caller in config.callers)
    node.tell("started", f"{config.aet} listens on {config.host}:{config.port} for {callers}. {RESEARCH_ONLY}")
    signal.signal(signal.SIGTERM, lambda *_: node.stop())
    try:
        node.work()
        node.tell("stopped", "stopped; what was received is kept, the same command goes on with it")
    finally:
        server.shutdown()
        grader.end()
