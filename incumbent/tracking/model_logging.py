"""Log a predictor as an MLflow model that any machine can load.

MLflow notes in a model where its code and files came from. That is of no use to who loads it, and
names folders of the machine that made it, so it is left out.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import Model, ModelSignature
    from mlflow.models.model import ModelInfo
    from mlflow.types import ColSpec, TensorSpec

EXAMPLES = "examples.json"
"""Among a model's artifacts: a few texts with what it answered to them when it was measured."""
_MODEL = "MLmodel"


def log(predictor: Path, examples: pd.DataFrame, requirements: Sequence[str]) -> ModelInfo:
    """Log a predictor folder as the model of the active run.

    Args:
        predictor: The folder that `incumbent.predictor` loads.
        examples: What it answers to a few texts: `probability_<class>`, by text.
        requirements: What a consumer has to install.
    """
    from mlflow.models import Model

    from incumbent import predictor as served

    texts = [str(text) for text in examples.index]
    with tempfile.TemporaryDirectory() as place:
        known = Path(place) / EXAMPLES
        answers = examples.to_dict("records")
        rows = [{"text": text} | answer for text, answer in zip(texts, answers, strict=True)]
        known.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        logged: ModelInfo = Model.log(
            artifact_path=None,
            name="model",
            flavor=_Portable,
            flavor_name="pyfunc",
            python_model=served.__file__,
            artifacts={"predictor": str(predictor), "examples": str(known)},
            signature=_signature([str(name) for name in examples.columns]),
            input_example=texts[:2],
            pip_requirements=list(requirements),
            # For consumers who load it without incumbent: it looks at its own files.
            model_config={served.DIGEST: served.folder_digest(predictor)},
        )
        return logged


def _signature(probabilities: Sequence[str]) -> ModelSignature:
    """What the model answers, and which parameters it knows.

    Of its input it says nothing. MLflow would hand on the columns that a schema names and drop the
    others, refuse rows without text, and take the first column for one without a name.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    made: list[ColSpec | TensorSpec] = [ColSpec("string", "label", required=False)]
    made += [ColSpec("double", name, required=False) for name in probabilities]
    version = ParamSpec("version", "boolean", False)
    return ModelSignature(outputs=Schema(made), params=ParamSchema([version]))


class _Portable:
    """MLflow's pyfunc flavor, but for what names folders of this machine."""

    @staticmethod
    def save_model(path: str, mlflow_model: Model, **given: Any) -> None:
        """Save the model in a folder, as `mlflow.pyfunc.save_model` does."""
        import mlflow

        mlflow.pyfunc.save_model(path=path, mlflow_model=mlflow_model, **given)
        flavor = mlflow_model.flavors[mlflow.pyfunc.FLAVOR_NAME]
        # Of the path of its code MLflow reads the file's name only.
        flavor["model_code_path"] = Path(flavor["model_code_path"]).name
        for artifact in flavor["artifacts"].values():
            artifact["uri"] = artifact["path"]
        mlflow_model.artifact_path = None
        mlflow_model.save(str(Path(path) / _MODEL))
        for compiled in list(Path(path).rglob("__pycache__")):
            shutil.rmtree(compiled)
