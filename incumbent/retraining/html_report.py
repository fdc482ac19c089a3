"""The report of one retraining: a single HTML page without scripts or links to other hosts."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from incumbent.data.agreement import Agreement
    from incumbent.decision.proof_and_ruling import Ruling
    from incumbent.evaluation.evaluation_summary import Evaluation
    from incumbent.evaluation.wilson_and_bootstrap import Estimate
    from incumbent.title.ledger import Entry

PREVIEW = 280
"""Characters of a long review that are shown before it is unfolded."""


@dataclass(frozen=True)
class Report:
    """Everything the page tells; what is left empty leaves no trace on it."""

    model_name: str
    ruling: Ruling | Entry
    measured: Evaluation
    version: str = ""
    """Version in the registry."""
    champion_version: str = ""
    """Version that holds the title after this ruling."""
    created: str = ""
    """When, as it is to be read."""
    confidence: float = 0.95
    """Coverage of the intervals in `measured`."""
    baseline_accuracy: float | None = None
    """Test accuracy of the baseline, a fraction."""
    data: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """What is known of each split, by its name: rows, digest, and so on."""
    agreement: Mapping[str, Agreement] = field(default_factory=dict)
    """How far those agree who labelled each split, by its name."""
    findings: Sequence[tuple[str, str]] = ()
    """Validation findings as (severity, message)."""
    plots: Mapping[str, Path] = field(default_factory=dict)
    """PNG files by name, as `evaluation.plots.draw` returns them."""
    top_losses: pd.DataFrame | None = None
    """Columns row, text, label, predicted, probability and loss; the worst first."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Settings of the run, by dotted name."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Where to look further: http(s) addresses by their title."""


def render(report: Report) -> str:
    """The page as HTML: styles inline, plots as data URIs, no scripts, every value escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "figure": _figure,
        "duration": _duration,
        "words": lambda name: name.replace("_", " "),
    }
    losses = report.top_losses
    return environment.get_template("report.html.j2").render(
        report=report,
        headline=_headline(report.measured),
        images={name: _data_uri(path) for name, path in report.plots.items()},
        mistakes=[] if losses is None else losses.to_dict("records"),
        preview=PREVIEW,
    )


def _headline(measured: Evaluation) -> list[tuple[str, str, Estimate, bool]]:
    """Metrics that exist as (name, which way is better, estimate, whether it is a share)."""
    rows = [
        ("Accuracy", "higher is better", measured.accuracy, True),
        ("Macro F1", "higher is better", measured.macro_f1, True),
        ("ROC AUC", "higher is better", measured.roc_auc, False),
        ("Log loss", "lower is better", measured.log_loss, False),
        ("Calibration error", "lower is better", measured.calibration_error, True),
    ]
    return [(name, way, e, share) for name, way, e, share in rows if e is not None]


def _percent(value: float) -> str:
    return f"{value:.2%}"


def _figure(value: object) -> str:
    """A number to be read by people; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
