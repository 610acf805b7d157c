"""What a report is made from, as the reports' own types: built from params.yaml and the paths of this repository."""

from collections.abc import Mapping
from typing import Any

from earshift.pipeline import config, paths
from earshift.report.results import Folders, Results, Study, Switch

# sections of params.yaml that change no number
_UNTRACKED = ("compute",)
_INTERVALS = (
    "cca", "comparison", "consistency", "diverse", "robustness", "significance", "svd", "training", "trajectories",
)  # fmt: skip


def results() -> Results:
    """The results in this repository.

    Raises
    ------
    UserError
        If params.yaml is not valid. Results that are missing are an error once they are asked for.
    """
    return Results(study(config.read()), folders())


def study(document: dict[str, Any]) -> Study:
    """What params.yaml asks for.

    Parameters
    ----------
    document : dict, its plain content
    """
    params = config.parse(document)
    return Study(
        encoders=params.run.encoders,
        perturbations=params.run.perturbations,
        encoder_options={name: params.encoders[name] for name in params.run.encoders},
        perturbation_options={name: params.perturbations[name] for name in params.run.perturbations},
        configured_encoders=tuple(document["encoders"]),
        configured_perturbations=tuple(document["perturbations"]),
        fidelity=params.fidelity,
        switches={name: Switch(on, getattr(params.perturb, name) is not None) for name, on in params.switches.items()},
        corpus=params.corpus.name,
        folds=params.corpus.split.folds,
        split_seed=params.corpus.split.seed,
        balanced=params.corpus.split.balance,
        tags=params.classes.tags,
        robustness=params.robustness,
        confidence={name: getattr(params, name).confidence for name in _INTERVALS},
        instrument=params.figures.instrument,
        parameters=_of_the_run(document),
    )


def _of_the_run(document: Mapping[str, Any]) -> dict[str, Any]:
    """params.yaml without what the run does not use."""
    shown = {name: section for name, section in document.items() if name not in _UNTRACKED}
    for kind in ("encoders", "perturbations"):
        shown[kind] = {name: document[kind].get(name) for name in document["run"][kind]}
    corpus = document["corpus"]
    own = ("split", corpus["name"])
    shown["corpus"] = {name: value for name, value in corpus.items() if not isinstance(value, dict) or name in own}
    return shown


def folders() -> Folders:
    """Where results lie in this repository."""
    return Folders(
        metrics=paths.METRICS, plots=paths.PLOTS, perturbed=paths.PERTURBED, models=paths.MODELS, corpus=paths.CORPUS,
        embeddings=paths.EMBEDDINGS, weights=paths.MODELS, excerpts=paths.EXCERPTS, figures=paths.FIGURES,
        report=paths.INDEX.parent,
    )  # fmt: skip
