"""Load a registered version only if it is what was registered, and answers as it was measured."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from incumbent.errors import RegistryError
from incumbent.tracking.registry_reads import Version, Versions

Answer = dict[str, Any]
"""A text's `label`, and its `probability_<class>` for each class."""

_EXAMPLES = Path("artifacts") / "examples.json"
_WARM = ["A text to warm the model up.", "Two of them, as one alone is answered otherwise."]

# While it loads one, MLflow keeps what a model's code made in a global variable.
_LOADING = threading.Lock()


class VerifiedModel:
    """A version that is loaded, verified and warm.

    Attributes:
        version: Which it is.
        text_columns: The names that consumers' frames give the text, or its parts.
        columns: What an answer holds: `label`, then `probability_<class>`.
        multilabel: Whether a label is a set of labels, joined by `|`.
    """

    def __init__(self, registry: Versions, version: Version) -> None:
        """Download, verify and warm it.

        Raises:
            RegistryError: if its files or its answers are not what was registered.
            StoreAway: if the store does not give them at the moment.
        """
        import mlflow

        from incumbent.tracking import model_integrity

        self.version = version
        with contextlib.ExitStack() as stack:
            digests = version.model_digest, version.predictor_digest
            with registry.errors(f"download version {version.version} of {version.name}"):
                folder = stack.enter_context(model_integrity.copied(version.uri, *digests))
            try:
                with _LOADING:
                    model = mlflow.pyfunc.load_model(str(folder))
                self._ask, self.text_columns, self.multilabel = _asking(model)
                self.columns = [str(name) for name in self._ask(_WARM).columns]
                self._ask(_WARM[:1])
                self._verify(folder)
            except RegistryError:
                raise
            except Exception as error:  # whatever its code raises
                raise RegistryError(f"it cannot be loaded: {error}") from error
            # Its code may open files later; they are there as long as the model is.
            weakref.finalize(self, stack.pop_all().close)

    @property
    def name(self) -> str:
        """The registered model."""
        return self.version.name

    @property
    def number(self) -> int:
        """The version."""
        return self.version.version

    def answers(self, texts: Sequence[str]) -> list[Answer]:
        """The answer to each text (n,); none may be blank."""
        frame = self._ask(list(texts))
        columns = [frame[name].tolist() for name in self.columns]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*columns, strict=True)]

    def _verify(self, folder: Path) -> None:
        file = folder / _EXAMPLES
        known: list[Answer] = []
        if file.is_file():  # an earlier release kept none
            known = json.loads(file.read_text(encoding="utf-8"))
        asked = [str(row["text"]) for row in known] or _WARM
        found = self.answers(asked)
        numbers = [name for name in self.columns if name.startswith("probability_")]
        for index, (row, answer) in enumerate(zip(known or found, found, strict=True)):
            for name in numbers:
                gap = abs(float(answer[name]) - float(row.get(name, math.nan)))
                if not gap <= self.version.tolerance:
                    raise RegistryError(
                        f"it answers example {index} otherwise than it was measured: {name} is "
                        f"{answer[name]:.4g}, and was {row.get(name)}"
                    )


def _asking(model: Any) -> tuple[Callable[[list[str]], Any], tuple[str, ...], bool]:
    """What asks a model, its columns of texts, and whether its labels are sets.

    Our own code is asked without MLflow's checks on the way, which know less of texts than it does.
    """
    try:
        python = model.unwrap_python_model()
    except Exception:  # noqa: BLE001  a model of another flavor has none
        python = None
    if not hasattr(python, "probabilities"):
        return model.predict, ("text",), False
    named = getattr(python, "text_column", "text")
    columns = (named,) if isinstance(named, str) else tuple(named)
    return partial(python.predict, None), columns, bool(getattr(python, "multilabel", False))
