"""The search for the rates of each arm: equally many trials an arm, on a part of the training set, chosen on val.

A trial is an ordinary run in the store of the study. Optuna proposes; its journal is what a search goes on from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detect_transfer.config import RunConfig
from detect_transfer.config.study import Search
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.opening import is_special, not_regular
from detect_transfer.evaluation.study.trials import ArmTrials, Trial
from detect_transfer.training.lock import lock_folder
from detect_transfer.workflows.study.arms import run_config
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan, keyed_runs, question_of
from detect_transfer.workflows.study.runs import state_of
from detect_transfer.workflows.study.trials_file import read_trials, write_trials

if TYPE_CHECKING:
    import optuna

_STARTING = 4  # trials that are drawn at random before the sampler learns from them


def search_rates(
    plan: StudyPlan, do: Callable[[Sequence[str]], Iterator[str]], on_event: Callable[[str], None] = lambda _: None
) -> bool:
    """Do the trials of every arm that has not all of its own, and keep what is best; return whether all are done.

    The arms go on together: a round has a trial of each, so that a cluster does as many at once as there are arms.

    Args:
        plan: The study, whose arms have the rates that they had before.
        do: Does the runs of these keys, and yields each as it ends.
        on_event: Called with what happens, in words.

    Raises:
        InputError: A key changes nothing in an arm, all trials of an arm failed, or another process searches.
        ResourceError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ResourceError(
            "SEARCH_MISSING", "Optuna is not installed", remedy="pip install 'detect-transfer[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with ExitStack() as locks:
        searches = []
        for arm in plan.to_search:
            plan.folder.search(arm).mkdir(parents=True, exist_ok=True)
            locks.enter_context(lock_folder(plan.folder.search(arm)))
            searches.append(_ArmSearch.opened(plan, arm))
        while left := [search for search in searches if not search.is_done]:
            asked = {search.ask(): search for search in left}
            for key in do(list(asked)):
                said = asked[key].tell()
                if said is None:  # it was stopped
                    return False
                on_event(said)
        for search in searches:
            search.keep()  # of a search that was done before with another number of trials, too
    return True


@dataclass
class _ArmSearch:
    """The search of one arm.

    Args:
        plan: The study.
        arm: The arm.
        study: What proposes, from its journal.
        trials: Those that are done.
    """

    plan: StudyPlan
    arm: str
    study: optuna.Study
    trials: list[Trial]
    _asked: tuple[optuna.Trial, str] | None = None

    @classmethod
    def opened(cls, plan: StudyPlan, arm: str) -> _ArmSearch:
        """Go on with the journal of an arm."""
        with _journal_errors(plan.folder.search(arm)):
            study = _open(plan.folder.search(arm), question_of(plan.config, plan.data, arm))
            _reap(study)
            trials = list(_finished(study))[: search_of(plan).trials]
            for number, trial in enumerate(trials):
                _check_trial(plan, arm, number, trial)
        return cls(plan, arm, study, trials)

    @property
    def is_done(self) -> bool:
        """Whether it has all its trials."""
        return len(self.trials) >= search_of(self.plan).trials

    def ask(self) -> str:
        """Write the config of the next trial; return its key."""
        search = search_of(self.plan)
        self.study.sampler = _sampler(search.seed + len(self.trials))
        trial = self.study.ask()
        keys = {key: trial.suggest_float(key, *ends, log=True) for key, ends in search.rates.items()}
        run, config = trial_run(self.plan, self.arm, keys)
        self.plan.write_config(run, config)
        self._asked = (trial, run.key)
        return run.key

    def tell(self) -> str | None:
        """Note how the trial ended that was asked for, and say it; None where it has not ended.

        Raises:
            InputError: It trained the same weights as another one, or all trials of the arm failed.
        """
        assert self._asked is not None
        asked, key = self._asked
        trial = _ended_trial(self.plan, key, len(self.trials), asked.params)
        if trial is None:
            return None
        _refuse_equal(self.arm, self.trials, trial)
        asked.set_user_attr("trial", {"number": trial.number, "key": trial.key, "sha256": trial.sha256})
        self.study.tell(asked, trial.ap)
        self.trials.append(trial)
        self.keep()
        words = ", ".join(f"{key} {value:.2e}" for key, value in trial.keys.items())
        how = f"val AP {trial.ap:.3f}" if trial.sha256 else "failed"
        return f"trial {len(self.trials)} of {search_of(self.plan).trials}: {self.arm}, {words}: {how}"

    def keep(self) -> None:
        """Write the trials that were made, and the best of them.

        Raises:
            InputError: All failed.
        """
        done, n_all = ArmTrials(self.arm, tuple(self.trials)), search_of(self.plan).trials
        if done.best.sha256 is None and len(self.trials) == n_all:
            output = self.plan.folder.output(done.best.key)
            raise InputError(
                "STUDY_TRIALS",
                f"all {n_all} trials of the arm '{self.arm}' failed",
                where=output,
                field="study.search",
                remedy=f"see why in {output}, then remove {self.plan.folder.search(self.arm)}",
            )
        write_trials(self.plan.folder.trials(self.arm), question_of(self.plan.config, self.plan.data, self.arm), done)


def search_of(plan: StudyPlan) -> Search:
    """Return how a study searches that has arms to search."""
    assert plan.config.study.search is not None
    return plan.config.study.search


def _open(folder: Path, question: str) -> optuna.Study:
    """Open the journal of an arm; another question begins another study in it."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = folder / "journal.log"
    if is_special(path):  # Optuna would wait for what never comes
        raise not_regular(path)
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(storage=storage, study_name=question, direction="maximize", load_if_exists=True)


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Return a sampler that proposes the same after the same trials, wherever a search was stopped."""
    import optuna

    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTING)


def _reap(study: optuna.Study) -> None:
    """Let trials fail that a killed process left: this one has the lock. Their keys are proposed again."""
    import optuna

    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)


def _finished(study: optuna.Study) -> Iterator[Trial]:
    import optuna

    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
        facts = trial.user_attrs["trial"]
        yield Trial(facts["number"], trial.params, facts["key"], float(trial.value or 0.0), facts["sha256"])


@contextmanager
def _journal_errors(folder: Path) -> Iterator[None]:
    """Turn what Optuna raises of a journal that it cannot read into an error that names it.

    Raises:
        InputError: As above.
    """
    import optuna

    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, AssertionError, optuna.exceptions.OptunaError) as error:
        path, what = folder / "journal.log", f"it is no journal of this search ({type(error).__name__}: {error})"
        remedy = f"put it back, or remove {folder} and run the study again: runs of trials that are done are taken"
        raise InputError("STUDY_JOURNAL", " ".join(what.split()), where=path, remedy=remedy) from error


def _check_trial(plan: StudyPlan, arm: str, number: int, trial: Trial) -> None:
    """Check that a trial of the journal, which has no hash, is what its keys and its run say.

    Raises:
        ValueError: It is not.
    """
    run, _ = trial_run(plan, arm, trial.keys)
    said = _ended_trial(plan, run.key, number, trial.keys)
    if (trial.number, trial.key) != (number, run.key) or (said is not None and said != trial):
        raise ValueError(f"trial {number} is not what its run says")


def _ended_trial(plan: StudyPlan, key: str, number: int, keys: Mapping[str, float]) -> Trial | None:
    """Return what became of the run of a trial; None where it was stopped before its end."""
    state = state_of(plan.folder, key)
    if state == "done":
        folder = plan.folder.run(key)
        last = folder.last.relative_to(folder.path).as_posix()
        return Trial(
            number, keys, key, folder.read_metrics()["AP"] or 0.0, folder.read_manifest()["files"][last]["sha256"]
        )
    return Trial(number, keys, key, 0.0, None) if state == "failed" else None


def trial_run(plan: StudyPlan, arm: str, keys: Mapping[str, float]) -> tuple[PlannedRun, RunConfig]:
    """Return the run of a trial: of the arm with these keys, on the part of the training set that is searched on."""
    search = search_of(plan)
    study = plan.config.study.model_copy(update={"seeds": [search.seed]})
    of_trial = plan.config.model_copy(update={"study": study})
    config = run_config(of_trial, plan.data, arm, search.percent, keys)
    (run,) = keyed_runs(of_trial, plan.data, {(arm, search.percent): config})
    return run, plan.placed(run, config)


def _refuse_equal(arm: str, trials: list[Trial], trial: Trial) -> None:
    """Refuse a trial that trained the same weights as another one: its keys did nothing."""
    for other in trials:
        if trial.sha256 is not None and other.sha256 == trial.sha256 and other.keys != trial.keys:
            raise InputError(
                "STUDY_TRIALS",
                f"trials {other.number} and {trial.number} of the arm '{arm}' ended with the same weights, so that "
                f"{' and '.join(trial.keys)} changes nothing there",
                field="study.search.rates",
                remedy="search a key that the arm uses (phases have rates of their own), or leave the arm out",
            )


def trials_of(plan: StudyPlan) -> tuple[ArmTrials, ...]:
    """Return the trials of each arm that was searched."""
    return tuple(ArmTrials(arm, read_trials(plan.folder.trials(arm))[1]) for arm in plan.searched)
