"""What a node counts, in the text format that Prometheus reads. No patient, and no study, is in it."""

import shutil
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from spinenet.serve.node.service import Node

_COUNTED = {
    "received": ("spinenet_images_received", "Images that were kept", ""),
    "refused": ("spinenet_images_refused", "Images that were not kept", ""),
    "sent": ("spinenet_objects_sent", "Results that a destination took", "destination"),
    "send_failures": ("spinenet_send_failures", "Tries to send that failed", "destination"),
    "events": ("spinenet_events", "What was told in the log, by its name there", "event"),
    "grading_seconds": ("spinenet_grading_seconds", "Seconds spent on studies that were graded", ""),
}


class _NodeCollector:
    def __init__(self, node: Node) -> None:
        self.node = node

    def collect(self) -> Iterator[Metric]:
        """Counters since the start, and what there is now."""
        counts = self.node.tally.items()
        for key, (name, told, label) in _COUNTED.items():
            metric = CounterMetricFamily(name, told, labels=[label] if label else [])
            for (counted, value), count in counts.items():
                if counted == key:
                    metric.add_metric([value] if label else [], count)
            yield metric
        yield GaugeMetricFamily("spinenet_studies_waiting", "Studies to be graded", len(self.node.changed))
        unsent = GaugeMetricFamily("spinenet_objects_waiting", "Results to be sent", labels=["destination"])
        waiting = self.node.state.unsent()
        for peer in self.node.peers:
            unsent.add_metric([peer], waiting.get(peer, 0))
        yield unsent
        free = shutil.disk_usage(self.node.config.folder).free
        yield GaugeMetricFamily("spinenet_disk_free_bytes", "Free where images and results are kept", free)


def metrics_text(node: Node) -> str:
    """All of it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_NodeCollector(node))
    return generate_latest(registry).decode()
