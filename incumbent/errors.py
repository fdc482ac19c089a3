"""All errors that a user can do something about, with the exit code of each.

    IncumbentError            exit code
    ├── ConfigError               2      wrong usage or config; an unknown name
    ├── DataError                 3      the data cannot be read
    │   └── DataRefused           3      the data was read, and failed validation
    └── StageError                4      a stage failed
        ├── StageTimedOut         4      it took longer than it may
        ├── NotWell               4      the monitor found something wrong, and told it
        ├── TrainingDiverged      4      the loss is not finite
        ├── MemoryExhausted       4      memory cannot hold the rows of a step
        └── RegistryError         4      the MLflow store refused, or lacks what it recorded
            └── StoreAway         4      it does not answer, and may soon

Messages say what was found, what was expected and what to do; they are shown to the
user as they stand, without a traceback. A name that is not there is wrong usage, be it that of a
config file, a model, an alias or a version: it is found before any stage begins.
"""


class IncumbentError(Exception):
    """The root of the tree; `exit_code` is what the command line ends with."""

    exit_code = 4
    logged = False
    """Whether the log has it already."""


class ConfigError(IncumbentError):
    """A config file, a `--set` value or an argument is wrong, or names what is not there."""

    exit_code = 2


class DataError(IncumbentError):
    """A data source cannot be read as labelled text."""

    exit_code = 3


class DataRefused(DataError):
    """The data was read, and an expectation of severity `error` failed on it."""


class StageError(IncumbentError):
    """A stage failed for a reason other than its input data."""


class StageTimedOut(StageError):
    """A stage took longer than `timeouts` allows, or a flow longer than it may."""


class NotWell(StageError):
    """The monitor found something wrong, which is no fault of its own, and told it."""


class TrainingDiverged(StageError):
    """The training loss is not finite."""


class MemoryExhausted(StageError):
    """Memory cannot hold so many `rows` at once, of a batch in so many `parts`."""

    def __init__(self, message: str, rows: int, parts: int) -> None:
        super().__init__(message)
        self.rows, self.parts = rows, parts


class RegistryError(StageError):
    """The MLflow store cannot be reached, or lacks what it has on record."""


class StoreAway(RegistryError):
    """The MLflow store does not answer, as far as one can tell for a while: it is waited for."""
