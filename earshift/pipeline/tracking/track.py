"""Shows in MLflow what the files of results say, and stamps the report: stage ``track`` and ``earshift track``.

Conventions
-----------
``dvc repro`` runs this every time. Where MLflow cannot be used, the pipeline goes on without it: a message says why and
how to catch up, and the stage does not fail. The next ``dvc repro`` tries again. With ``all_experiments`` the same is
done for every DVC experiment, from git and the DVC cache: a store that was lost, or a new server, then shows them all.
"""

import contextlib
import os
import sys

from earshift.errors import UserError
from earshift.pipeline import report_inputs
from earshift.pipeline.stamp import write_index
from earshift.pipeline.tracking import experiments, records
from earshift.pipeline.tracking.runs import (
    EXPERIMENT,
    State,
    Store,
    Unusable,
    compare,
    find_store,
    peek,
    upsert,
    without_password,
)
from earshift.report.page import commit as git


def track(*, all_experiments: bool = False) -> None:
    """Bring MLflow up to date with the files.

    Parameters
    ----------
    all_experiments : whether every DVC experiment is shown as well

    Raises
    ------
    UserError
        If results are missing, or, outside of ``dvc repro``, if MLflow cannot be used.
    """
    write_index()
    where = find_store()
    commit = os.environ.get("DVC_EXP_BASELINE_REV") or git.commit()
    try:
        _show(where, os.environ.get("DVC_EXP_NAME", ""), commit)
    except Unusable as error:
        if "DVC_STAGE" not in os.environ:
            raise
        # Nothing depends on it: the pipeline is done, and an experiment that failed here would be lost
        print(f"earshift: {error}", file=sys.stderr)
    if all_experiments:
        _show_all(where)


def _show(where: Store, experiment: str, commit: str) -> None:
    """Bring MLflow up to date with the files of the working folder."""
    results = report_inputs.results()
    stages = records.locked_stages(results.study)
    wanted = records.make_records(results, stages)
    state = State(experiment, commit, records.lock_sha256(stages))
    found = (peek(where.database, state.key) or []) if where.database else []
    kept, wrong = compare(wanted, found)
    created = 0
    if wrong or len(kept) < len(wanted):
        created = upsert(where, wanted, state)
    seen = "`make ui` shows them" if where.database else f"see {without_password(where.uri)}"
    print(
        f"MLflow experiment {EXPERIMENT}, {experiment or f'state {state.lock[:7]}'}: "
        f"{created} child runs created, {len(wanted) - 1 - created} unchanged; {seen}"
    )


def _show_all(where: Store) -> None:
    """Bring MLflow up to date with every DVC experiment; those that are not whole here are named at the end."""
    failures = []
    for experiment in experiments.experiments():
        try:
            with experiments.results_folder(experiment) as folder, contextlib.chdir(folder):
                _show(where, experiment.name, experiment.baseline)
        except UserError as error:
            failures.append(str(error))
    if failures:
        raise UserError("\n".join(failures))
