"""Runs in MLflow: which of them show what the files say, and an upsert of the others. Only this module knows MLflow.

Conventions
-----------
One parent run stands for one state of the repository (a DVC experiment, or a dvc.lock), one child for every encoder x
perturbation. Runs are an upsert: found by the tag ``earshift.key``, left alone where ``earshift.digest`` says that they
show what the files say, deleted and logged again where they do not, or where a kill left them half written. The digest
is the last thing that a run gets. So running this twice changes nothing, and deleting the store and running it again
rebuilds it for the current state.

Runs go to the server that MLFLOW_TRACKING_URI names, else to mlflow.db and mlartifacts/ under $DVC_ROOT: the
experiment queue works in a temporary folder, and what is written there is lost. A new database is breakable when two
processes make it at once, so one process at a time works here, and the database takes its name when it is whole. A
server is shared with clones that this does not reach. So a run says which clone writes it, what another one has not
finished is left alone, and of two whole runs for one pair the earlier stays, whoever looks.

Importing MLflow takes seconds, so a local database is first read with sqlite3 (:func:`peek`). Where it already shows
everything, MLflow is never imported.
"""

import contextlib
import json
import logging
import os
import re
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.tracking import records
from earshift.pipeline.tracking.records import Record
from earshift.report.page import commit as git
from earshift.report.results import Pair
from earshift.storage.files import replacing

EXPERIMENT = "earshift"
KEY, DIGEST, WRITER = "earshift.key", "earshift.digest", "earshift.writer"
_NOTE = "mlflow.note.content"
_VIEW = "mlflow.sharedViewState.pairs"  # what the address that `make ui` prints asks for
_COLUMNS = ("cca/heldout_r2", "cca/null_r2_p95", "svd/effective_rank", "consistency/within_euclidean",
            "roc_auc/original", "roc_auc/mean_drop", "roc_auc/worst_drop")  # fmt: skip
_ABOUT = (
    "One parent run for every state or DVC experiment, one child for every encoder and perturbation. Tick two children "
    "and press *Compare*."
)
_PARENT_TAG, _COMMIT_TAG = "mlflow.parentRunId", "mlflow.source.git.commit"
_LOCK_SECONDS = 600  # longest wait for another process that logs
_BATCH = 500  # MLflow takes at most 1000 metrics at once

# What MLflow would do on its own and a pipeline's last stage should not: phone home, chat, or retry for minutes.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # seconds: a server that is there but silent costs half a minute in all
    "GIT_PYTHON_REFRESH": "quiet",
}


def _about() -> dict[str, str]:
    """Tags of the experiment."""
    return {_NOTE: _ABOUT, _VIEW: _pairs_view()}


def _pairs_view() -> str:
    """MLflow's saved view of all pairs as one flat table, in which equal pairs of several experiments stand together.

    Runs nest, and hide the pairs, only while they are sorted by time; so this is sorted by name.
    """
    metrics = [f"metrics.`{name}`" for name in _COLUMNS]
    widths = {"attributes.`Run Name`": 260, **dict.fromkeys(metrics, 135), "runDateAndNestInfo": 140}
    state = {
        "searchFilter": "tags.kind = 'pair'", "orderByKey": "tags.`mlflow.runName`", "orderByAsc": True,
        "startTime": "ALL", "lifecycleFilter": "Active", "datasetsFilter": [], "modelVersionFilter": "All Runs",
        "selectedColumns": metrics, "columnOrder": list(widths), "columnWidths": widths,
    }  # fmt: skip
    return json.dumps({"name": "Pairs", "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)})


@dataclass(frozen=True)
class Store:
    """Where runs go.

    root : pathlib.Path, the repository, also from within the experiment queue
    uri : str
    database : pathlib.Path or None where a server keeps the runs
    """

    root: Path
    uri: str
    database: Path | None

    @property
    def writer(self) -> str:
        """Name of this clone, kept in it."""
        path = self.root / ".dvc" / "tmp" / "earshift-writer"
        if not path.is_file():
            with replacing(path) as temporary:
                temporary.write_text(uuid.uuid4().hex)
        return path.read_text()

    @property
    def artifacts(self) -> str | None:
        """Where artifacts go, or None where the server decides."""
        return (self.root / paths.ARTIFACTS).as_uri() if self.database else None


class Unusable(UserError):
    """MLflow cannot be used now. The results lie in files; they can be shown later."""


def without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)


def find_store() -> Store:
    """The :class:`Store` that the environment asks for."""
    root = Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if not re.fullmatch(r"sqlite:///[^?]+", uri):
        return Store(root, uri, None)
    database = root / uri.removeprefix("sqlite:///")  # a relative path would be one in the queue's temporary folder
    return Store(root, f"sqlite:///{database}", database)


@dataclass(frozen=True)
class Found:
    """A run that the store holds under a key."""

    run: str
    start: int
    finished: bool
    tags: dict[str, str]

    @property
    def pair(self) -> Pair:
        return self.tags.get("encoder", ""), self.tags.get("perturbation", "")


def compare(wanted: Sequence[Record], found: Iterable[Found]) -> tuple[dict[Pair, str], list[str]]:
    """Which runs may stay.

    Parameters
    ----------
    wanted : list of earshift.pipeline.tracking.records.Record, the parent first
    found : list of Found

    Returns
    -------
    kept : dict of pair to run id, runs that show what they should
    wrong : list of run ids, half written, outdated, orphaned or double
    """
    digests = {record.pair: record.digest for record in wanted}
    kept: dict[Pair, str] = {}
    wrong: list[str] = []
    for run in sorted(found, key=lambda run: (run.pair != records.PARENT, run.start, run.run)):
        whole = run.finished and run.pair in digests and run.tags.get(DIGEST) == digests[run.pair]
        at_home = run.pair == records.PARENT or run.tags.get(_PARENT_TAG) == kept.get(records.PARENT, "")
        if whole and at_home and run.pair not in kept:
            kept[run.pair] = run.run
        else:
            wrong.append(run.run)
    return kept, wrong


def own(found: Iterable[Found], writer: str) -> list[Found]:
    """Those of `found` that the clone `writer` may judge: not what another clone has not finished."""
    return [run for run in found if run.finished or run.tags.get(WRITER, writer) == writer]


def peek(database: Path, key: str) -> list[Found] | None:
    """Runs under `key` in a local database, read without MLflow.

    Returns
    -------
    list of Found, or None where the database cannot tell (missing, empty, being written)

    Raises
    ------
    Unusable
        If the file is no database; MLflow would try to open it for minutes.
    """
    query = """
        SELECT r.run_uuid, r.start_time, r.status, t.key, t.value FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid
        WHERE r.lifecycle_stage = 'active'
        AND r.run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)
    """
    try:
        address = f"file:{quote(str(database))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=1)) as connection:
            rows = connection.execute(query, (KEY, key)).fetchall()
    except sqlite3.OperationalError:
        return None
    except sqlite3.DatabaseError as error:
        raise Unusable(
            f"{database} is not an MLflow database ({error}); move it away and run `earshift track`"
        ) from error
    tags: dict[tuple[str, int, bool], dict[str, str]] = {}
    for run, start, status, name, value in rows:
        tags.setdefault((run, start or 0, status == "FINISHED"), {})[name] = value
    return [Found(*run, tags=of_run) for run, of_run in tags.items()]


# ------------------------------------------------------------------------------------------------------- with MLflow


@dataclass(frozen=True)
class State:
    """What a parent run stands for.

    experiment : str, the DVC experiment, "" outside of one
    commit : str, the commit that is checked out, or that the experiment started from; "" where there is none
    lock : str, hash of dvc.lock
    """

    experiment: str
    commit: str
    lock: str

    @property
    def key(self) -> str:
        return records.key(self.experiment, self.lock)

    @property
    def name(self) -> str:
        return self.experiment or f"{self.commit[:7] or 'no commit'} {self.lock[:7]}"


def upsert(where: Store, wanted: Sequence[Record], state: State) -> int:
    """Make the store show `wanted`, and nothing else under the key of `state`.

    Parameters
    ----------
    where : Store
    wanted : list of earshift.pipeline.tracking.records.Record, the parent first
    state : State

    Returns
    -------
    int
        Number of child runs that were logged.

    Raises
    ------
    Unusable
        If the store cannot be reached or written.
    """
    import filelock

    _prepare()
    guard = where.root / ".dvc" / "tmp" / "earshift-mlflow.lock"
    try:
        guard.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(guard, timeout=_LOCK_SECONDS):
            return _upsert(where, wanted, state)
    except _trouble() as error:
        reason = without_password(" ".join(str(error).split()))[:200]
        fix = (
            f"mend it, or move {where.database} away to start a new one" if where.database else "wait until it replies"
        )
        raise Unusable(
            f"MLflow at {without_password(where.uri)} cannot be used ({reason}). The results are safe in "
            f"{paths.METRICS}/ and {paths.PLOTS}/; {fix}, and catch up with `earshift track`"
        ) from error


def _trouble() -> tuple[type[Exception], ...]:
    """What can go wrong with a store."""
    from alembic.util.exc import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, CommandError, OSError


def _upsert(where: Store, wanted: Sequence[Record], state: State) -> int:
    if where.database and not where.database.exists():
        _create(where.database)
    client = _client(where.uri)
    home = _experiment_id(client, where.artifacts)
    writer = where.writer

    def standing() -> dict[Pair, str]:
        kept, wrong = compare(wanted, own(_find(client, home, state.key), writer))
        for run in wrong:
            client.delete_run(run)
        return kept

    kept = standing()
    missing = [record for record in wanted if record.pair not in kept]
    # the parent first; then backwards, since the browser shows the latest first
    for record in sorted(missing[::-1], key=lambda record: record.pair != records.PARENT):
        tags = {**record.tags, **_tags(record, state), WRITER: writer, _PARENT_TAG: kept.get(records.PARENT, "")}
        name = state.name if record.pair == records.PARENT else f"{' / '.join(record.pair)} @ {state.name}"
        kept[record.pair] = _log(client, home, record, name, {tag: text for tag, text in tags.items() if text})
    if missing and not where.database:
        standing()  # another clone may have logged the same meanwhile
    return sum(record.pair != records.PARENT for record in missing)


def _tags(record: Record, state: State) -> dict[str, str]:
    """Tags of a run that are not about its content: the same results under another commit are the same run."""
    subject = "**{}** under **{}**".format(*record.pair) if any(record.pair) else "**All pairs**"
    link = git.address(state.commit)
    commit = f"commit [{state.commit[:7]}]({link})" if link else f"commit {state.commit[:7] or 'unknown'}"
    source = f"DVC experiment `{state.experiment}` on {commit}" if state.experiment else commit
    commands = "\n".join(f"    {line}" for line in git.commands(state.commit, state.experiment))
    note = (
        f"{subject}, corpus {record.tags['corpus']}, fidelity {record.tags['fidelity']}, {source}\n\n{commands}\n\n"
        "Parameters and grids of this state: params.yaml among the parent's artifacts."
    )
    return {
        KEY: state.key,
        "dvc.experiment": state.experiment,
        "dvc.lock": state.lock,
        _COMMIT_TAG: state.commit,
        _NOTE: note,
        "mlflow.source.name": "dvc exp run" if state.experiment else "dvc repro",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": git.person(),
    }


def _prepare() -> None:
    """Import MLflow, quietly; before the lock, so that processes that wait for each other do not import in turn."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import mlflow.store.tracking.sqlalchemy_store
    import mlflow.tracking  # noqa: F401


def _client(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def _create(database: Path) -> None:
    """A new database, made under another name, so that a kill leaves none that is half made."""
    new = database.with_name(f".{database.name}.new")
    new.unlink(missing_ok=True)
    _client(f"sqlite:///{new}").search_experiments(max_results=1)
    os.replace(new, database)


def _experiment_id(client: Any, artifacts: str | None) -> str:
    """The experiment's id; made where it is missing, brought back where somebody deleted it."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        try:
            return str(client.create_experiment(EXPERIMENT, artifact_location=artifacts, tags=_about()))
        except MlflowException:  # on a server somebody else may have been quicker
            found = client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    for tag, text in _about().items():  # what somebody changed in the browser stays
        if tag not in found.tags:
            client.set_experiment_tag(found.experiment_id, tag, text)
    return str(found.experiment_id)


def _find(client: Any, home: str, key: str) -> list[Found]:
    """Runs under `key`, as :func:`peek` finds them."""
    found: list[Found] = []
    page = None
    while True:
        runs = client.search_runs([home], f"tags.`{KEY}` = '{key}'", max_results=1000, page_token=page)
        found += [Found(r.info.run_id, r.info.start_time, r.info.status == "FINISHED", r.data.tags) for r in runs]
        page = runs.token
        if not page:
            return found


def _log(client: Any, home: str, record: Record, name: str, tags: dict[str, str]) -> str:
    """Write one run; it is whole where it has its digest and is finished, which comes last."""
    from mlflow.entities import Metric, Param

    run: str = client.create_run(home, run_name=name, tags=tags).info.run_id
    client.log_batch(run, params=[Param(*param) for param in record.params.items()])
    # The time of a metric is fixed: a curve's axis is its step, and logging again gives the same run
    metrics = [Metric(metric, value, timestamp=0, step=step) for metric, value, step in record.metrics + record.costs]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run, metrics=metrics[start : start + _BATCH])
    _log_corpus(client, run, record.dataset)
    for folder, path in record.files:
        client.log_artifact(run, str(path), folder or None)
    if record.grid:
        client.log_dict(run, record.grid, "grids.json" if record.pair == records.PARENT else "grid.json")
    if record.profiles:
        client.log_dict(run, record.profiles, "profiles.json")
    # A finished run without its digest would look broken to another clone, which would remove it
    client.set_tag(run, DIGEST, record.digest)
    client.set_terminated(run)
    return run


def _log_corpus(client: Any, run: str, corpus: dict[str, str]) -> None:
    """Name the corpus as the run's data set, which runs of all clones share."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    dataset = Dataset(corpus["name"], corpus["digest"], "local", f'{{"uri": "{corpus["source"]}"}}')
    inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "analysis")])]
    try:
        client.log_inputs(run, inputs)
    except MlflowException as error:
        if error.error_code != "BAD_REQUEST":
            raise
        # MLflow looks for the data set before it adds it; another clone was quicker, so now it is found
        client.log_inputs(run, inputs)
