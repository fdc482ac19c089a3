"""The process in which a saved predictor is unpickled and exported.

Whatever its pickle does, it does here: without network, with a limit on memory, and with no GPU.
The confinement comes before all imports that start threads. What came of the request, a line of
JSON on standard input, is told as lines of JSON, each a kind and a content.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from incumbent.errors import IncumbentError
from incumbent.importing.saved_predictor import Saved
from incumbent.runtime import child_processes, confinement, environment, failure_explanations

# Virtual addresses beside the memory itself: libraries map files, and reserve more than they use.
_ADDRESSES = 64 << 30


class Request(BaseModel):
    """What to export, and where to; `texts` is a Parquet file with the column `text`."""

    model_config = ConfigDict(frozen=True)

    saved: Saved
    texts: Path
    served: Path
    text_column: str | tuple[str, ...]
    precision: str
    memory: int
    """Bytes that this process may take."""


def _answer(request: Request) -> tuple[str, Any]:
    """The kind and the content of what came of it."""
    try:
        import pandas as pd

        from incumbent.importing import conversion, unpickling

        texts = pd.read_parquet(request.texts)["text"].tolist()
        with tempfile.TemporaryDirectory() as place:
            predictor = unpickling.load(request.saved.folder, request.saved.pickle_digest)
            done = conversion.convert(
                predictor, request.saved.folder, texts, request.served, request.text_column,
                request.precision, Path(place),
            )  # fmt: skip
    except IncumbentError as error:
        return "refused", str(error)
    except MemoryError:
        return "exhausted", None
    except Exception as error:  # noqa: BLE001  the parent says it
        if "MemoryError" in type(error).__name__ or "ResourceExhausted" in type(error).__name__:
            return "exhausted", None
        return "refused", failure_explanations.of_disk(error) or (
            f"The predictor cannot be imported: {type(error).__name__}: {error}"
        )
    return "converted", done.model_dump(mode="json")


def _main() -> None:
    refused = confinement.without_network()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(kind: str, content: Any) -> None:
        answers.write(json.dumps([kind, content]) + "\n")
        answers.flush()

    if refused:
        tell("said", f"the network cannot be taken from the process that loads it ({refused})")
    requests = child_processes.listen()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    environment.prepare()
    environment.quiet()
    request = Request.model_validate_json(requests.get())
    confinement.limit(resource.RLIMIT_DATA, request.memory)
    confinement.limit(resource.RLIMIT_AS, request.memory + _ADDRESSES)
    confinement.limit(resource.RLIMIT_CORE, 0)
    tell(*_answer(request))
    gc.freeze()
    sys.stderr.flush()
    os._exit(0)  # no code of the predictor's runs after the answer


if __name__ == "__main__":
    _main()
