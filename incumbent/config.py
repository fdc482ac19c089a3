"""The configuration: frozen models, one a stage, composed into `Config`.

Every default is written here and nowhere else. The flow's only parameter is a `Config`, so
the Prefect form, the command line and the deployments share this one schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from incumbent import label_sets
from incumbent.runtime import sql_queries, url_secrets

_Off = BeforeValidator(lambda value: "off" if value is False else value)  # YAML reads off as false
_Tab = BeforeValidator(lambda value: "\t" if value in ("tab", r"\t") else value)

_Named = BeforeValidator(  # YAML reads labels like 1 and yes as numbers and truths
    lambda value: {str(k): v for k, v in value.items()} if isinstance(value, dict) else value
)

Severity = Annotated[Literal["error", "warn", "off"], _Off]
"""What a failed expectation does: refuse the data, report it, or go unchecked."""

Action = Annotated[Literal["block", "warn", "off"], _Off]
"""What a gate that is not passed does: keep the challenger from the title, be reported, or
nothing, as it is not looked at."""

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a registered model may be called: safe in a path, a URL and a filter."""

MODEL_NAME_IN_WORDS = (
    "letters, digits, '.', '_' and '-' are expected, 100 at most, a letter or digit first"
)
"""What `MODEL_NAME` says."""

COMPUTED_SLICES = ("length", "class", "language")
"""Names in `evaluation.slices` that are worked out; any other is a column of the data."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""What both NumPy and TensorFlow take for a seed."""


Weight = Annotated[float, Field(gt=0, le=10_000)]
"""How many rows one counts for."""


class Section(BaseModel):
    """A frozen part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, values: Any) -> Any:
        """A blank value, null in YAML, for a key that is empty by default is the empty text."""
        if not isinstance(values, dict):
            return values
        blank = {k for k, v in values.items() if v is None and k in cls.model_fields}
        return values | {k: "" for k in blank if cls.model_fields[k].default == ""}


class DataConfig(Section):
    """Where labelled text comes from, and how to read it."""

    train: str | tuple[str, ...] = ""
    """Training data: a path or any fsspec URL (.xlsx .xlsm .xls .xlsb .ods .csv .tsv .jsonl .ndjson
    .parquet, each also packed as .gz or .bz2), a folder, a pattern like `data/2026-*.xlsx`, or a
    list of these; `${NAME}` in it stands for an environment variable. A file of another name, such
    as `export.txt`, is known by its contents. A folder of folders with a text in each .txt means
    these, and the name of each folder is their label. Empty for the embedded film reviews."""
    test: str = ""
    """The frozen test set: one file, or a folder of folders of texts. Empty for the embedded film
    reviews."""
    query: str = ""
    """SQL that gives the training rows, where `train` is a database, like
    `postgresql://reader:${PASSWORD}@host/reviews`: any that SQLAlchemy knows. Its columns are those
    of a table. With an `order by`, the same rows are the same data."""
    test_query: str = ""
    """The same for `test`."""
    format: Literal["auto", "workbook", "csv", "json", "parquet"] = "auto"
    """What the files are. `auto`: what their contents say, each its own."""
    sheet: str | Annotated[int, Field(ge=0, strict=True)] | None = None
    """Sheet of a workbook, by name or by number (the first is 0). Null: the first that is not
    hidden, or if that lacks the columns, the one that has them."""
    header_row: Annotated[int, Field(ge=1)] | None = None
    """Number of the row that holds the names of the columns, as a spreadsheet program shows it.
    Null: the row among the first 100 that has them."""
    delimiter: Annotated[str, Field(pattern=r"^[^\w\s\"']?$|^\t$"), _Tab] = ""
    """What is between two cells of a text file: one character, or `tab`. Empty: comma, semicolon,
    tab or bar, whichever gives the columns."""
    text_column: str | tuple[str, ...] = "text"
    """Column that holds the text. A list, like `[title, body]`: the parts of a text, which are
    joined by a blank line, those that are empty left out."""
    label_columns: str | tuple[str, ...] = "label"
    """Column that holds the label. A list of two or more makes the labels the columns' names: each
    holds 1 or 0, x or nothing, yes or no, whether a row has that label; a row may have none or
    several."""
    label_separator: str = ""
    """What stands between the labels where one cell holds several, as `;` does in `billing; late`:
    a word like `and`, or one or more signs, each of which separates (`,;`). Their order counts for
    nothing. With it, a list in JSON or Parquet is several labels. Empty: a cell holds one label."""
    id_column: str = ""
    """Column that holds the name or number by which a row is known, so that a later row of the same
    one corrects it; `7` and `007` are one. Empty: rows are known by their text (after case and
    white space are folded)."""
    annotator_column: str = ""
    """Column that says who labelled the row. How far these people agree is reported."""
    date_column: str = ""
    """Column that holds when the row was labelled, by which later is told (a date, or text like
    `2026-11-28` or `28.11.2026 09:30`). Empty: rows of later files, and further down, are later."""
    on_disagreement: Literal["latest", "majority", "set_aside", "keep"] | None = None
    """Which label counts where one row is labelled in several ways: the `latest`; that of the
    `majority` of people, each by the last label they gave (of as many votes, the latest); none, the
    row is `set_aside`; or each (`keep`). Null: `latest` with an id, annotator or date column,
    else `keep`; runs that the inbox starts take `latest`."""
    group_column: str = ""
    """Column that says which rows belong together: the film, customer or thread that a text is of.
    Models err alike on such rows, so that champion and challenger are compared by groups. The test
    data must have it. Empty: each row is by itself."""
    encoding: str = "auto"
    """Character encoding of CSV, TSV and JSON files, such as `utf-8` or `cp1252`. `auto`: each file
    its own, by its byte-order mark or its bytes; where two fit alike and read differently, the
    message names both."""
    sample: Annotated[int, Field(ge=2)] | None = None
    """How many rows of each split to use, stratified by label and seeded; null for all."""
    seed: Seed = 0
    """Seed of the sample."""

    @property
    def disagreement(self) -> Literal["latest", "majority", "set_aside", "keep"]:
        """What `on_disagreement` comes to."""
        known_by = self.id_column, self.annotator_column, self.date_column
        return self.on_disagreement or ("latest" if any(known_by) else "keep")

    @property
    def texts_in(self) -> tuple[str, ...]:
        """The columns that a text is in, in the order of its parts."""
        return (self.text_column,) if isinstance(self.text_column, str) else self.text_column

    @property
    def labels_in(self) -> tuple[str, ...]:
        """The columns that labels are in, in the order of the file."""
        return (self.label_columns,) if isinstance(self.label_columns, str) else self.label_columns

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels of which a row may have any, sorted, where columns name them; else none."""
        return tuple(sorted(self.labels_in)) if len(self.labels_in) > 1 else ()

    def further_columns(self, slices: Sequence[str]) -> tuple[str, ...]:
        """What is read beside texts and labels: the slices, and the groups that rows come in."""
        new = self.group_column and self.group_column not in slices
        return (*slices, self.group_column) if new else tuple(slices)

    @property
    def multilabel(self) -> bool:
        """Whether a row may have none or several labels."""
        return bool(self.label_names or self.label_separator)

    @model_validator(mode="after")
    def _consistent(self) -> DataConfig:
        if not self.labels_in:
            raise ValueError(
                "label_columns names no column; give the name of the label column, or those of "
                "two columns or more that say which labels a row has"
            )
        if self.label_separator and self.label_names:
            raise ValueError(
                "label_separator is for one column whose cells hold several labels, and "
                "label_columns names several columns; set one of the two"
            )
        if self.group_column in (*self.texts_in, *self.labels_in, *COMPUTED_SLICES):
            raise ValueError(
                f"group_column is {self.group_column!r}, which is the text, a label or a slice "
                "that is worked out; a column of its own is needed: rename it in the data and here"
            )
        if not self.texts_in or len(set(self.texts_in)) < len(self.texts_in):
            raise ValueError("text_column names no column, or one twice; name each once")
        for name in self.texts_in:
            if name in self.labels_in:
                raise ValueError(
                    f"text_column and label_columns both name {name!r}; different columns are "
                    "needed"
                )
        for key in ("id_column", "annotator_column", "date_column"):
            if (name := getattr(self, key)) in (*self.texts_in, *self.labels_in):
                raise ValueError(
                    f"{key} names {name!r}, which holds the text or the label; another column is "
                    "needed, or none"
                )
        if bool(self.train) != bool(self.test):
            missing = "test" if self.train else "train"
            raise ValueError(
                f"data.{missing} is not set: name both files, or neither for the embedded reviews"
            )
        return self

    @model_validator(mode="after")
    def _labels(self) -> DataConfig:
        for name in self.label_names:
            twice = self.label_names.count(name) > 1
            if fault := label_sets.fault(name) or "is there twice" * twice:
                raise ValueError(
                    f"label_columns: {name!r} {fault}; with several columns each names a label, "
                    "once: rename it in the data and here"
                )
        return self

    @model_validator(mode="after")
    def _queries(self) -> DataConfig:
        train = (self.train,) if isinstance(self.train, str) else self.train
        for side, sources in {"query": train, "test_query": (self.test,)}.items():
            databases = [one for one in sources if sql_queries.is_database(one, {})]
            # An address that is all in a variable is known when it is read.
            hidden = any(one.startswith("${") for one in sources)
            if databases and not getattr(self, side):
                raise ValueError(
                    f"data.{side} is not set: {url_secrets.public(databases[0])} is a database, "
                    "and SQL says which of its rows are meant"
                )
            if getattr(self, side) and not databases and not hidden:
                raise ValueError(
                    f"data.{side} is for a database, and data."
                    f"{'test' if side == 'test_query' else 'train'} names none; leave it out"
                )
        return self


class IngestConfig(Section):
    """Which data is worth a retraining."""

    min_new_rows: Annotated[int, Field(ge=0)] = 0
    """Fewest labelled training texts that the version trained last has not seen, or has seen with
    another label; with fewer of them the run is skipped."""


class ValidationConfig(Section):
    """What data must satisfy before anything is trained on it, and how severe a failure is."""

    labels: tuple[str, ...] | None = None
    """The known labels, spelled as they are served: rows with another label, or none, are refused,
    and so are test rows whose label no training row has. Null: the labels of the training data,
    spelled as the test set does."""
    min_rows: Annotated[int, Field(ge=2)] = 16
    """Fewest rows of each split."""
    min_rows_per_class: Annotated[int, Field(ge=1)] = 5
    """Fewest rows of each class in each split; of several labels, with each and without it."""
    min_characters: Annotated[int, Field(ge=1)] = 1
    """Shortest text, in characters."""
    max_characters: Annotated[int, Field(ge=1)] = 32_767
    """Longest text, in characters. The default is the most that an Excel cell can hold."""
    bad_rows: Literal["refuse", "set_aside"] | None = None
    """What becomes of training rows that fail a check of severity `error` by themselves: the data
    is refused for them, or they are left out and listed in a workbook, to be corrected. Null:
    `set_aside` in the inbox, `refuse` elsewhere. Rows of the test set are never set aside."""
    bad_rows_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Largest share of a file's labelled rows that is set aside, as a fraction; a file with more
    bad rows is refused as a whole. Up to three are set aside of any file with more good rows.
    Texts in folders are one file."""
    on_empty: Severity = "error"
    """A row has no text."""
    on_rows: Severity = "error"
    """A split has fewer than `min_rows`, or a class of train fewer than `min_rows_per_class`. A
    class too rare to be tested is only reported."""
    on_rare_class: Annotated[Literal["error", "warn", "drop", "off"], _Off] | None = None
    """A class has fewer rows in train than `min_rows_per_class`: refuse, report, or leave the class
    out, of train and test. Null: what `on_rows` says."""
    on_length: Severity = "error"
    """A text is shorter than `min_characters` or longer than `max_characters`."""
    on_not_text: Severity = "error"
    """A cell of the text column holds a formula without a value or an error; or most cells hold
    numbers, dates or no words at all, as in a wrong column. A few such cells are texts."""
    on_similar_labels: Severity = "warn"
    """Labels differ in case alone, or look like several in a cell (see `data.label_separator`)."""
    on_control: Severity = "warn"
    """A text holds control characters; they are replaced by spaces."""
    on_repeat: Severity = "warn"
    """A text stands more than once in a split."""
    on_conflict: Severity = "warn"
    """The same text is labelled in two ways."""
    on_leak: Annotated[Literal["auto", "error", "warn", "drop", "off"], _Off] = "auto"
    """A test text stands in train too (after case and white space are folded): refuse, report, or
    drop the row from train. `auto` drops them where they are at most 5 % of train and of test, and
    else refuses; of several training files it is enough that this holds of each by itself."""

    @model_validator(mode="after")
    def _consistent(self) -> ValidationConfig:
        if self.min_characters > self.max_characters:
            raise ValueError(
                f"min_characters ({self.min_characters}) is above max_characters "
                f"({self.max_characters}): no text could pass"
            )
        return self


class PreprocessingConfig(Section):
    """How text becomes model input."""

    max_length: Annotated[int, Field(ge=8, le=4096)] = 64
    """Longest input, in tokens, special tokens included."""
    truncation: Literal["head", "tail", "head_tail"] = "head"
    """Which part of a longer text is kept. `head_tail` keeps the first quarter and the last
    three (Sun et al. 2019, section 5.3.1)."""


WITHOUT_WEIGHTS = ("nbsvm", "logreg", "fasttext")
"""Models that begin without pretrained weights."""


class TrainingConfig(Section):
    """The model and how it is trained."""

    model: Literal[
        "auto", "transformer", "distilbert", "bert", "features", "nbsvm", "logreg", "fasttext",
        "blend",
    ] = "auto"  # fmt: skip
    """`transformer` and `distilbert` are Hugging Face models, `bert` is ktrain's keras_bert
    route. `features` leaves a Hugging Face encoder as it is and trains a linear head on its mean
    states: seconds a run. `nbsvm` and `logreg` are linear models on word n-grams, with and without
    naive Bayes ratios; `fasttext` is ktrain's small network on words. `blend` averages
    `transformer` and the NBSVM of the baseline, with a weight fitted on held-out rows. `auto`
    takes `features` for fewer than 1,000 rows and `transformer` for more."""
    weights: str = "bundled"
    """Pretrained weights: `bundled` (MiniLM, shipped with the installation), a folder or a hub
    name. For `bert`: `bundled`, or a folder with a Google BERT checkpoint."""
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    """Rows in a training step."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] | Literal["auto"] = 1.5e-4
    """Peak learning rate of the schedule; `auto` asks ktrain's finder. Models without
    pretrained weights want about 0.01."""
    lr_find_steps: Annotated[int, Field(ge=50, le=2000)] = 100
    """Steps that the learning-rate finder may take."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Learning rate of each layer of a Hugging Face model, as a multiple of that of the layer above
    it, so that embeddings learn slowest (Sun et al. 2019, section 5.3.3: 0.95); 1 for one rate."""
    schedule: Literal["onecycle", "triangular", "sgdr", "constant", "linear", "plateau"] = (
        "onecycle"
    )
    """ktrain's `fit_onecycle`, its `autofit` (triangular, early stopping), warm restarts (`sgdr`),
    one rate throughout, one that rises and then falls in lines, or one that is halved when the
    validation loss falls no more."""
    cycle_epochs: Annotated[int, Field(ge=1, le=1000)] = 1
    """`sgdr` only: epochs of the first cycle, at whose end the rate starts again."""
    cycle_growth: Annotated[int, Field(ge=1, le=100)] = 1
    """`sgdr` only: how much longer each cycle is than the one before, as a factor."""
    warmup: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    """`linear` only: share of the steps in which the rate rises."""
    plateau_epochs: Annotated[int, Field(ge=1)] = 1
    """`plateau` only: halve the rate after so many epochs without a lower validation loss."""
    keep: Literal["best", "last"] = "last"
    """The epoch whose weights are kept: that of the lowest validation loss, or the last.
    `triangular` always keeps the best."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How much of its weights each step takes from a Hugging Face model's dense layers, times the
    learning rate (AdamW, Loshchilov and Hutter 2019; 0.01 is common); biases, normalizations and
    embeddings are left."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Longest gradient, as a norm over all weights; longer ones are shortened to it. Each place of
    a word in a batch counts by itself. Null clips none."""
    epochs: Annotated[int, Field(ge=1, le=1000)] | Literal["auto"] = "auto"
    """Passes over the training rows; with `triangular`, the most there may be. `auto`: as many as
    make 300 steps, or 16 a class if that is more, and from 1 to 10, in `sgdr` rounded up to whole
    cycles."""
    early_stopping: Annotated[int, Field(ge=1)] = 2
    """`triangular` only: stop after so many epochs without a lower validation loss."""
    validation_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Share of *train* that is held out, stratified, to watch training, to weigh a `blend`, and to
    fit `serving.thresholds`."""
    head: Literal["probe", "random"] = "probe"
    """Where the last layer of a Hugging Face model begins: `probe` fits it to the encoder as it is
    and trains on from there (Kumar et al. 2022), and weights that were trained by the mean of their
    tokens, as the bundled ones, get a layer that makes it; `random` is what ktrain does."""
    freeze_embeddings: bool = False
    """Leave the word embeddings as they are: smaller steps, quicker training."""
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "auto"
    """Numbers that Hugging Face models compute with; weights stay float32. `auto`: half precision
    on GPUs that are quick at it (with loss scaling for float16), else float32."""
    devices: Literal["auto", "one"] = "auto"
    """`auto` shares each batch of Hugging Face models among all GPUs of the machine; `one` uses the
    first."""
    class_weights: Literal["none", "balanced"] | Annotated[dict[str, Weight], _Named] = "none"
    """How much the rows of each class count in training: all alike, or `balanced`, each class as
    much as any other (n / (k n_class), as scikit-learn has it), or `{label: weight}`, others 1. Of
    several labels a row, it is the rows with a label that count so much, against those without."""
    checkpoint_minutes: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """Minutes between checkpoints, from which a training that was ended resumes. `auto`: so often
    that they take 1 % of the time, and at most once a minute."""
    seed: Seed = 1
    """Seed of the split, the initial head, dropout and the order of the batches."""

    def cycles(self, epochs: int) -> tuple[int, ...]:
        """Lengths (epochs) of the cycles of `sgdr` that make so many epochs, or just more."""
        found: list[int] = []
        while sum(found) < epochs:
            found.append(self.cycle_epochs * self.cycle_growth ** len(found))
        return tuple(found)

    @model_validator(mode="after")
    def _consistent(self) -> TrainingConfig:
        if self.weight_decay and self.model in (*WITHOUT_WEIGHTS, "features", "bert"):
            raise ValueError(
                f"weight_decay is {self.weight_decay:g}, and model {self.model} is trained without "
                "one; set it to 0, or another model"
            )
        if self.schedule == "sgdr" and self.epochs != "auto":
            cycles = self.cycles(self.epochs)
            if (end := sum(cycles)) != self.epochs:
                ends = f"{end - cycles[-1]} or {end}" if len(cycles) > 1 else str(end)
                raise ValueError(
                    f"epochs is {self.epochs}, in the middle of a cycle of schedule sgdr "
                    f"(cycle_epochs {self.cycle_epochs}, cycle_growth {self.cycle_growth}); set it "
                    f"to {ends}"
                )
        return self


class ServingConfig(Section):
    """What is registered for consumers to load."""

    precision: Literal["auto", "float32", "int8"] = "auto"
    """Numbers that a transformer computes in. `auto` takes int8, which is several times as fast
    and a quarter of the size, unless it loses more than `max_accuracy_loss` against float32."""
    max_accuracy_loss: Annotated[float, Field(ge=0, le=1)] = 0.002
    """Largest loss of accuracy that int8 may cost, as a fraction, estimated on training texts."""
    thresholds: Literal["fitted", "half"] = "fitted"
    """Where rows may have several labels, the probability from which on each is predicted: `fitted`
    to a high F1 on the held-out rows (`training.validation_fraction`), or a `half`."""


class EvaluationConfig(Section):
    """How the challenger is measured on the frozen test set."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Coverage of the intervals."""
    bootstrap_samples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """Resamples of the test rows for intervals that have no closed form."""
    calibration_bins: Annotated[int, Field(ge=2, le=100)] = 15
    """Bins of equal width for the calibration error (Guo et al. 2017 use 15)."""
    top_losses: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many of the reviews it got most wrong to list."""
    slices: tuple[str, ...] = ("length", "class")
    """Groups of test rows whose accuracy is measured: `length` (thirds of the texts, by words),
    `class` (the true label), `language` (a column of that name or, without one, detected), or any
    column of the test data."""
    behaviour: str = ""
    """YAML file of behaviour tests; empty for the packaged ones, in
    incumbent/behaviour/behaviour.yaml, which explains the format."""
    seed: Seed = 0
    """Seed of the resampling, and of the sample that behaviour tests change."""

    @model_validator(mode="after")
    def _consistent(self) -> EvaluationConfig:
        for name in self.slices:
            if not name.strip() or self.slices.count(name) > 1:
                fault = "twice" if name.strip() else "as a column"
                raise ValueError(
                    f"slices names {name!r} {fault}; expected names of columns, each once"
                )
        return self


class PromotionConfig(Section):
    """When a challenger takes the title: what it must prove, and the gates it must pass."""

    policy: Literal["superiority", "non_inferiority"] = "superiority"
    """What a challenger must prove: that it is better than the champion, or, which lets fresh data
    in as long as little is lost, that its accuracy is not lower by `margin` or more."""
    metric: Literal["log_loss", "accuracy"] = "log_loss"
    """What superiority is tested on: the probabilities (a paired test of the calibrated log loss,
    and beside it an exact McNemar test at 5 % that the accuracy is higher) or right and wrong alone
    (that test at the level of the contest, which needs more rows)."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """`non_inferiority` only: a loss of accuracy that matters, as a fraction."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Chance that any challenger no better than its champion takes the title, over a whole reign
    (the life of one test set), however many challenge."""
    half_life: Annotated[float, Field(gt=0, le=10_000)] = 13
    """Contests after which half of `alpha` may be spent: 13 suits one a week, 90 one a night."""
    ratchet_margin: Annotated[float, Field(ge=0, le=1)] = 0.01
    """How far below the best accuracy of any champion of the reign a new one may be."""
    on_ratchet: Action = "block"
    """A challenger is further below the best champion of the reign than `ratchet_margin`."""
    new_reign: bool = False
    """Accept another test set than the frozen one: it is frozen instead, and the champion is
    scored on it again."""
    near_duplicate: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Test rows this similar (Jaccard similarity of word pairs) to a training row of either model
    are left out of the comparison."""
    on_one_answer: Action = "warn"
    """The challenger answers the same for all test rows, though their labels differ: it may have
    learned nothing. The reason begins with it."""
    min_accuracy: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Lowest test accuracy; of rows with several labels, those count that have all right."""
    on_min_accuracy: Action = "block"
    """The accuracy is below `min_accuracy`."""
    min_gain_over_baseline: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """The accuracy must exceed the NBSVM baseline's by more than this."""
    on_baseline: Action = "block"
    """The gain over the baseline is no more than `min_gain_over_baseline`."""
    min_slice_accuracy: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Lowest accuracy on any slice (`evaluation.slices`) of 30 rows or more."""
    on_slices: Action = "warn"
    """The accuracy on a slice is below `min_slice_accuracy`."""
    max_slice_loss: Annotated[float, Field(ge=0, le=1)] = 0.02
    """How much lower than the champion's the accuracy may be on a class or a slice
    (`evaluation.slices`), as a fraction; more counts where it is shown, with an allowance for how
    many of them are looked at."""
    on_slice_loss: Action = "warn"
    """On a class or a slice the challenger is worse than the champion by more than
    `max_slice_loss`."""
    max_negative_flips: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Largest share of rows that the champion has right and the challenger breaks."""
    on_negative_flips: Action = "warn"
    """More rows are broken than `max_negative_flips`."""
    max_calibration_error: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Largest expected calibration error."""
    on_calibration: Action = "warn"
    """The calibration error is above `max_calibration_error`."""
    max_behaviour_failures: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Largest share of failures in any one behaviour test (`evaluation.behaviour`)."""
    on_behaviour: Action = "warn"
    """A behaviour test fails more often than `max_behaviour_failures`."""
    max_latency_ratio: Annotated[float, Field(gt=0)] = 1.5
    """Longest time to predict a row, over the champion's."""
    on_latency: Action = "warn"
    """The challenger is slower than `max_latency_ratio` allows."""
    max_size_ratio: Annotated[float, Field(gt=0)] = 1.5
    """Largest size of the predictor's files, over the champion's."""
    on_size: Action = "warn"
    """The challenger is larger than `max_size_ratio` allows."""
    seeds: Annotated[int, Field(ge=1, le=20)] = 1
    """How many models to train that differ only in their seed; above 1, the gain over the champion
    must exceed their spread."""
    on_seeds: Action = "block"
    """The gain over the champion does not exceed the spread of the seeds."""
    mode: Literal["automatic", "manual"] = "automatic"
    """`manual`: a challenger that passes waits for `incumbent approve`."""


class RetentionConfig(Section):
    """Which old model versions are kept."""

    keep: Annotated[int, Field(ge=1)] | None = None
    """How many of the newest versions to keep; null keeps all. Champions, past and present,
    versions with an alias and those that can still be approved are always kept."""


Hours = Annotated[float, Field(gt=0, le=10_000)]
"""How long a stage may take."""


class TimeoutsConfig(Section):
    """Hours that a stage may take before it is ended, and the run fails."""

    train: Hours = 72
    """Training, with the learning-rate finder and the export."""
    repeat: Hours = 240
    """Training again with the other seeds of `promotion.seeds`, all of them together."""
    other: Hours = 12
    """Each other stage: ingest, validate, preprocess, evaluate, register, promote, report."""


class ImportingConfig(Section):
    """What the process may take that loads a predictor for `incumbent import`."""

    memory_gib: Annotated[float, Field(ge=1, le=10_000)] = 8
    """Memory, in GiB: the libraries take 2, and the model some ten times the size of its file."""
    minutes: Annotated[float, Field(gt=0, le=10_000)] = 30
    """Minutes that it may take."""


class TrackingConfig(Section):
    """Where runs and models are recorded."""

    experiment: str = ""
    """MLflow experiment; empty for the model's name."""
    artifacts: str = ""
    """Artifact location of a new experiment; empty for `mlruns/artifacts` beside a local store,
    or the server's own."""
    mlflow_ui: str = "http://127.0.0.1:5000"
    """Address under which people open MLflow, for links, when the store is a database."""
    workdir: str = ".incumbent"
    """Folder for caches, reports, unfinished runs and what the inbox has seen (`watched/`, which
    cannot be made again)."""
    patience: Annotated[float, Field(ge=0, le=86_400)] = 300
    """Seconds that a run waits for an MLflow server that goes away, or for a locked SQLite file.
    Training goes on meanwhile."""


def _not_a_ledger(name: str) -> str:
    if name.endswith(".ledger"):
        raise ValueError("names that end in .ledger are those of logs of decisions; choose another")
    return name


class Config(Section):
    """One retraining, complete."""

    model_name: Annotated[str, Field(pattern=MODEL_NAME), AfterValidator(_not_a_ledger)] = "reviews"
    """Name in the MLflow registry: letters, digits, `.`, `_` and `-`."""
    data: DataConfig = DataConfig()
    ingest: IngestConfig = IngestConfig()
    validation: ValidationConfig = ValidationConfig()
    preprocessing: PreprocessingConfig = PreprocessingConfig()
    training: TrainingConfig = TrainingConfig()
    serving: ServingConfig = ServingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    promotion: PromotionConfig = PromotionConfig()
    retention: RetentionConfig = RetentionConfig()
    timeouts: TimeoutsConfig = TimeoutsConfig()
    importing: ImportingConfig = ImportingConfig()
    tracking: TrackingConfig = TrackingConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        names, known = self.data.label_names, self.validation.labels
        if names and known is not None and set(known) != set(names):
            raise ValueError(
                f"validation.labels names {', '.join(known) or 'nothing'} and data.label_columns "
                f"{', '.join(names)}; several label columns are the labels: leave "
                "validation.labels null"
            )
        return self
