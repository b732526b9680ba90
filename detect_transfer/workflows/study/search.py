"""The search for the rates of each arm: equally many trials an arm, on a part of the training set, chosen on val.

A trial is an ordinary run in the store of the study. Optuna proposes; its journal is what a search goes on from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from detect_transfer.config import RunConfig
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.io import read_json, write_json
from detect_transfer.evaluation.study.trials import ArmTrials, Trial
from detect_transfer.training.lock import lock_folder
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan, keyed_runs, question_of, run_config
from detect_transfer.workflows.study.process import RunWatch, do_run
from detect_transfer.workflows.study.runs import state_of

if TYPE_CHECKING:
    import optuna

_STARTING = 4  # trials that are drawn at random before the sampler learns from them


def search_rates(plan: StudyPlan, watch: RunWatch, on_event: Callable[[str], None] = lambda _: None) -> bool:
    """Do the trials of every arm that has not all of its own, and keep what is best; return whether all are done.

    Args:
        plan: The study, whose arms have the rates that they had before.
        watch: Has the processes while they run, and may be stopped from outside.
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
    with ThreadPoolExecutor(max_workers=plan.config.study.jobs) as pool:
        tasks = [pool.submit(_search, plan, arm, watch, on_event) for arm in plan.to_search]
        for task in tasks:
            task.result()
    return not watch.stopped.is_set()


def _search(plan: StudyPlan, arm: str, watch: RunWatch, on_event: Callable[[str], None]) -> None:
    """Do the trials of one arm."""
    search = plan.config.study.search
    assert search is not None
    folder = plan.folder.search(arm)
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder):
        study = _open(folder, question_of(plan.config, plan.data, arm))
        _reap(study)
        trials = list(_finished(study))[: search.trials]
        while len(trials) < search.trials and not watch.stopped.is_set():
            number = len(trials)
            study.sampler = _sampler(search.seed + number)
            asked = study.ask()
            keys = {key: asked.suggest_float(key, *ends, log=True) for key, ends in search.rates.items()}
            trial = _do(plan, arm, number, keys, watch)
            if trial is None:  # it was stopped
                return
            _refuse_equal(arm, trials, trial)
            asked.set_user_attr("trial", {"number": number, "key": trial.key, "sha256": trial.sha256})
            study.tell(asked, trial.ap)
            trials.append(trial)
            _keep(plan, arm, trials)
            words = ", ".join(f"{key} {value:.2e}" for key, value in keys.items())
            how = f"val AP {trial.ap:.3f}" if trial.sha256 else "failed"
            on_event(f"trial {number + 1} of {search.trials}: {arm}, {words}: {how}")
        if trials:
            _keep(plan, arm, trials)  # of a search that was done before with another number of trials


def _open(folder: Path, question: str) -> optuna.Study:
    """Open the journal of an arm; another question begins another study in it."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
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


def _do(plan: StudyPlan, arm: str, number: int, keys: Mapping[str, float], watch: RunWatch) -> Trial | None:
    """Do the run of a trial; None where it was stopped before its end."""
    study = plan.config.study
    run, config = _trial_run(plan, arm, keys)
    plan.write_config(run, config)
    do_run(plan.folder, run.key, jobs=study.jobs, keep_state=study.keep_state, watch=watch)
    state = state_of(plan.folder, run.key)
    if state == "done":
        folder = plan.folder.run(run.key)
        last = folder.last.relative_to(folder.path).as_posix()
        return Trial(
            number, keys, run.key, folder.read_metrics()["AP"] or 0.0, folder.read_manifest()["files"][last]["sha256"]
        )
    return Trial(number, keys, run.key, 0.0, None) if state == "failed" else None


def _trial_run(plan: StudyPlan, arm: str, keys: Mapping[str, float]) -> tuple[PlannedRun, RunConfig]:
    """Return the run of a trial: of the arm with these keys, on the part of the training set that is searched on."""
    search = plan.config.study.search
    assert search is not None
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


def _keep(plan: StudyPlan, arm: str, trials: list[Trial]) -> None:
    """Write the trials that were made, and the best of them."""
    search = plan.config.study.search
    done = ArmTrials(arm, tuple(trials))
    if done.best.sha256 is None and search is not None and len(trials) == search.trials:
        output = plan.folder.output(done.best.key)
        raise InputError(
            "STUDY_TRIALS",
            f"all {len(trials)} trials of the arm '{arm}' failed",
            where=output,
            field="study.search",
            remedy=f"see why in {output}, then remove {plan.folder.search(arm)}",
        )
    content = {"question": question_of(plan.config, plan.data, arm), "best": dict(done.best.keys)}
    write_json(plan.folder.trials(arm), {**content, "trials": [trial.as_dict() for trial in trials]})


def trials_of(plan: StudyPlan) -> tuple[ArmTrials, ...]:
    """Return the trials of each arm that was searched."""
    stored = {arm: read_json(plan.folder.trials(arm)) for arm in plan.searched}
    return tuple(ArmTrials(arm, tuple(Trial(**row) for row in each["trials"])) for arm, each in stored.items())
