"""Counters, gauges and histograms, as text for Prometheus.

A few lines instead of its client, which a consumer's environment does not have. All are changed
from the event loop alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Labels = tuple[str, ...]


class Metric:
    """A number for each combination of labels: a counter or a gauge."""

    def __init__(self, name: str, about: str, kind: str, labels: Sequence[str]) -> None:
        self.name, self.about, self.kind, self.labels = name, about, kind, tuple(labels)
        self.values: dict[Labels, float] = defaultdict(float)

    def add(self, *labels: str, by: float = 1) -> None:
        """Count."""
        self.values[labels] += by

    def set(self, *labels: str, to: float) -> None:
        """Set a gauge."""
        self.values[labels] = to

    def lines(self) -> list[str]:
        """The metric in Prometheus' text format."""
        return [*self._head(), *(
            f"{self.name}{_braced(self.labels, labels)} {value:.10g}"
            for labels, value in sorted(self.values.items())
        )]  # fmt: skip

    def _head(self) -> list[str]:
        return [f"# HELP {self.name} {self.about}", f"# TYPE {self.name} {self.kind}"]


class Histogram(Metric):
    """How values are spread, for each combination of labels."""

    def __init__(
        self, name: str, about: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        super().__init__(name, about, "histogram", labels)
        self.bounds = tuple(bounds)
        self.counts: dict[Labels, list[int]] = {}

    def observe(self, *labels: str, value: float) -> None:
        """Take a value in."""
        counts = self.counts.setdefault(labels, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += 1
        self.values[labels] += value

    def lines(self) -> list[str]:
        """The metric in Prometheus' text format."""
        found = self._head()
        for labels, counts in sorted(self.counts.items()):
            total = 0
            for bound, count in zip([*self.bounds, float("inf")], counts, strict=True):
                total += count
                shown = "+Inf" if bound == float("inf") else f"{bound:g}"
                braced = _braced((*self.labels, "le"), (*labels, shown))
                found.append(f"{self.name}_bucket{braced} {total}")
            braced = _braced(self.labels, labels)
            found.append(f"{self.name}_sum{braced} {self.values[labels]:.10g}")
            found.append(f"{self.name}_count{braced} {total}")
        return found


class Metrics:
    """All that a server counts."""

    def __init__(self) -> None:
        of_model = ("model",)
        self.requests = Metric(
            "incumbent_requests_total", "Requests, by what they asked for and the HTTP status.",
            "counter", ("route", "status"),
        )  # fmt: skip
        self.rows = Metric(
            "incumbent_rows_total", "Texts that were answered.", "counter", ("model", "version")
        )
        self.labels = Metric(
            "incumbent_labels_total", "Labels that were answered; empty for rows without text.",
            "counter", ("model", "version", "label"),
        )  # fmt: skip
        self.seconds = Histogram(
            "incumbent_seconds",
            "Seconds of a request: to read it, to wait in the queue, to be predicted, in all.",
            ("stage",), _SECONDS,
        )  # fmt: skip
        self.batches = Histogram(
            "incumbent_batch_rows", "Texts that a model was asked at once.", of_model, _ROWS
        )
        self.queue = Metric(
            "incumbent_queue_rows", "Texts that wait for a model.", "gauge", of_model
        )
        self.version = Metric(
            "incumbent_model_version", "The version in service.", "gauge", of_model
        )
        self.swaps = Metric(
            "incumbent_swaps_total", "New versions that were put in service.", "counter", of_model
        )
        self.refused = Metric(
            "incumbent_swaps_refused_total",
            "New versions that were not put in service, as their files or answers are wrong.",
            "counter", of_model,
        )  # fmt: skip
        self.registry_errors = Metric(
            "incumbent_registry_errors_total", "Looks at the alias that failed.", "counter",
            of_model,
        )  # fmt: skip

    def text(self) -> str:
        """All metrics in Prometheus' text format."""
        return "\n".join(line for metric in vars(self).values() for line in metric.lines()) + "\n"


def _braced(names: Labels, values: Labels) -> str:
    pairs = ",".join(
        f'{name}="{value.translate(_ESCAPED)}"' for name, value in zip(names, values, strict=True)
    )
    return f"{{{pairs}}}" if pairs else ""
