"""The study of a sweep: an Optuna study in a database, which any number of workers share.

A worker is a process that runs one trial after the other. All counting is by what the database
holds, so that a sweep can be resumed, and be joined, at any time. While a trial runs, a heartbeat
is written. One whose heartbeat stops, as its worker was killed, is queued once more, with the same
values, and the killed one no longer counts; a second time it counts as failed.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from incumbent.errors import StageError
from incumbent.runtime import failure_explanations
from incumbent.runtime.url_secrets import public
from incumbent.sweeps import trial_database
from incumbent.sweeps.search_space import SearchSpace

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

PAUSE = 2.0
"""Seconds between two looks at trials that other workers run."""
_UNPRUNED = 4  # trials that are trained to their end before others are measured against them
_FAILURES = 3  # of a worker's trials, one after the other, with which its sweep ends
# What a trial carries besides its values.
_ACCURACY, _REASON, _RUN, _OURS = "accuracy", "reason", "run_id", "ours"
_GIVEN_BACK, _SURPLUS = "given_back", "surplus"
_HISTORY = "retry_history"  # Optuna's own name: the numbers of the trials that this one repeats


class Hopeless(Exception):
    """A trial is worse, at this epoch, than half of those before it were."""


class Result(BaseModel):
    """What came of a trial.

    `loss` (nats a row) and `accuracy` are those on the held-out rows, if it was trained to its end;
    else `reason` says why not.
    """

    model_config = ConfigDict(frozen=True)

    state: Literal["finished", "pruned", "failed"]
    loss: float = float("nan")
    accuracy: float = float("nan")
    reason: str = ""


class Trial(BaseModel):
    """A trial that was trained to its end."""

    model_config = ConfigDict(frozen=True)

    number: int
    values: dict[str, Any]
    loss: float
    accuracy: float


class Attempt:
    """A trial that is being run.

    Attributes:
        number: Its number in the study, from 0.
        values: What it tries, by config key.
        before: The MLflow run of the worker that was killed at the same trial, or "".
        known: What came of the same values before, if they were tried.
    """

    def __init__(self, trial: optuna.Trial, space: SearchSpace, complete: list[Trial]) -> None:
        self._trial = trial
        self.number = trial.number
        self.values = space.suggested(trial)
        self.known = next((one for one in complete if one.values == self.values), None)
        self.before = str(trial.user_attrs.get(_RUN, ""))

    def recorded_in(self, run_id: str) -> None:
        """Note the MLflow run of the trial."""
        self._trial.set_user_attr(_RUN, run_id)

    def report(self, loss: float, epoch: int) -> None:
        """Tell the held-out loss after an epoch, from 1.

        Raises:
            Hopeless: if the trial need not go on.
        """
        self._trial.report(loss, epoch)
        if self._trial.should_prune():
            raise Hopeless(
                f"held-out log loss {loss:.4f} after epoch {epoch}, above the median of the others"
            )


class SharedStudy:
    """The study of one sweep, by its name; made if need be.

    Raises:
        ConfigError: if its address is none of a database that can be used.
        StageError: if the database does not answer.
    """

    def __init__(self, name: str, address: str, space: SearchSpace, seed: int) -> None:
        self.name = name
        self.shown = public(address)
        self._space, self._seed = space, seed
        self._failures = 0
        with self._errors():
            self._study = trial_database.study(name, address, self._again, _UNPRUNED)

    def run(
        self,
        trials: int,
        until: float,
        objective: Callable[[Attempt], Result],
        say: Callable[..., None],
    ) -> None:
        """Run trials until all workers together have finished so many, or the time is over.

        Args:
            trials: How many.
            until: When no further one is begun, by `time.monotonic`; one is finished in any case.
            objective: Runs one.
            say: Told that others' trials are waited for.

        Raises:
            StageError: if several fail, one after the other.
        """
        told = False
        while True:
            with self._errors(), _silent():
                trial_database.fail_stale(self._study)
                known = self._trials()
            if time.monotonic() >= until and any(_complete(trial) for trial in known):
                return
            waiting = any(trial.state.name == "WAITING" for trial in known)
            if waiting or sum(map(_counts, known)) < trials:
                self._attempt(trials, objective, say)
            elif any(trial.state.name == "RUNNING" for trial in known):
                if not told:
                    say("the last trials are run by other workers, and are waited for")
                told = True
                time.sleep(PAUSE)
            else:
                return

    def finished(self) -> int:
        """How many trials have ended, whatever came of them."""
        with self._errors():
            return sum(_counts(trial) for trial in self._trials() if trial.state.is_finished())

    def best(self) -> Trial:
        """The trial with the least loss.

        Raises:
            StageError: if none was trained to its end.
        """
        complete = self.complete()
        if not complete:
            with self._errors():
                reasons = [t.user_attrs[_REASON] for t in self._trials() if _REASON in t.user_attrs]
            last = f" The last one: {reasons[-1]}" if reasons else ""
            raise StageError(f"No trial of the sweep was trained to its end.{last}")
        return min(complete, key=lambda trial: (trial.loss, trial.number))

    def complete(self) -> list[Trial]:
        """All trials that were trained to their end, in the order of their numbers."""
        with self._errors():
            return [
                Trial(
                    number=trial.number, values=trial.params, loss=float(trial.values[0]),
                    accuracy=trial.user_attrs.get(_ACCURACY, float("nan")),
                )
                for trial in self._trials() if _complete(trial)
            ]  # fmt: skip

    def importances(self) -> dict[str, float]:
        """The share of each key in how the losses differ, by PED-ANOVA; empty if none shows."""
        with self._errors(), _silent():
            return trial_database.importances(self._study)

    def run_id(self, own: Callable[[], str]) -> str:
        """The MLflow run of the sweep, that of the worker which came first; else `own` makes it."""
        with self._errors():
            if known := self._study.user_attrs.get(_RUN):
                return str(known)
            made = own()
            self._study.set_user_attr(_RUN, made)
            return made

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _attempt(
        self, trials: int, objective: Callable[[Attempt], Result], say: Callable[..., None]
    ) -> None:
        """Take the next trial, queued or new, and run it."""
        number, lost = -1, False

        def tried(trial: optuna.Trial) -> float:
            nonlocal number, lost
            number = trial.number
            try:
                self._see_that_it_is_wanted(trial, trials)
                return self._told(trial, objective)
            except BaseException as error:
                lost = trial_database.finished_elsewhere(error)
                if not (lost or _in_good_order(error)):
                    trial.set_user_attr(_GIVEN_BACK, True)
                raise

        try:
            with _silent():
                self._study.optimize(tried, n_trials=1, catch=(_Failed, _Surplus))
        except BaseException as error:
            if lost:
                say("trial %s was taken for dead and given to another worker", number)
                return
            if number >= 0 and not isinstance(error, _TooManyFailures):
                with suppress(StageError):  # the error itself says more
                    self._give_back(number)
            with self._errors():
                raise

    def _see_that_it_is_wanted(self, trial: optuna.Trial, trials: int) -> None:
        """Of several workers that begin the last trial at the same time, one does."""
        before = [one for one in self._trials() if one.number < trial.number and _counts(one)]
        if len(before) >= trials:
            trial.set_user_attr(_SURPLUS, True)
            raise _Surplus

    def _told(self, trial: optuna.Trial, objective: Callable[[Attempt], Result]) -> float:
        """Run the objective, and tell Optuna what came of it."""
        import optuna

        # Which values a trial gets follows from its number, whichever worker has it.
        self._study.sampler = trial_database.sampler(self._seed, trial.number)
        result = objective(Attempt(trial, self._space, self.complete()))
        if result.state == "finished":
            self._failures = 0
            trial.set_user_attr(_ACCURACY, result.accuracy)
            return result.loss
        trial.set_user_attr(_REASON, result.reason)
        if result.state == "pruned":
            raise optuna.TrialPruned(result.reason)
        self._failures += 1
        if self._failures >= _FAILURES:
            raise _TooManyFailures(
                f"{_FAILURES} trials failed, one after the other; the last: {result.reason}"
            )
        raise _Failed(result.reason)

    def _again(self, _study: optuna.Study, trial: FrozenTrial) -> None:
        """Queue a trial whose worker was killed once more."""
        history = trial.system_attrs.get(_HISTORY, [])
        if not history:
            self._queue(trial, [trial.number])

    def _give_back(self, number: int) -> None:
        """Queue a trial that this worker cannot finish, for whoever comes next."""
        with self._errors():
            trial = next(one for one in self._trials() if one.number == number)
            if not trial.state.is_finished():
                trial_database.fail(self._study, number)
            self._queue(trial, trial.system_attrs.get(_HISTORY, []))

    def _queue(self, trial: FrozenTrial, history: list[int]) -> None:
        attributes = {_RUN: trial.user_attrs[_RUN]} if _RUN in trial.user_attrs else {}
        trial_database.queue(self._study, trial, attributes, {_HISTORY: history})

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say in one sentence what is wrong with the database."""
        try:
            yield
        except trial_database.failures() as error:
            raise StageError(
                f"The trials at {self.shown} could not be read or written: "
                f"{failure_explanations.reason(error)} Run the same again: no trial is lost."
            ) from error


class _Failed(Exception):
    """A trial failed, and counts."""


class _Surplus(Exception):
    """A trial was begun that is one too many, and does not count."""


class _TooManyFailures(StageError):
    """Trials fail one after the other: the fault is not theirs."""


def _in_good_order(error: BaseException) -> bool:
    """Whether a trial ended by itself: it is not to be given back."""
    ends = (_Failed, _Surplus, _TooManyFailures)
    return isinstance(error, ends) or trial_database.is_pruning(error)


def _complete(trial: FrozenTrial) -> bool:
    return bool(trial.state.name == "COMPLETE")


def _counts(trial: FrozenTrial) -> bool:
    """Whether it is one of the trials that were asked for; another may stand in its place."""
    notes = trial.user_attrs
    if _SURPLUS in notes:
        return False
    if trial.state.name != "FAIL" or _REASON in notes:
        return True
    # Killed twice, it counts as failed.
    return _GIVEN_BACK not in notes and bool(trial.system_attrs.get(_HISTORY))


@contextmanager
def _silent() -> Iterator[None]:
    """Optuna warns that heartbeats are experimental, and says more than one line a trial."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
