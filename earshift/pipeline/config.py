"""params.yaml as frozen dataclasses, checked before anything runs.

Conventions
-----------
Every number has one home, params.yaml: no option has a default in code. Each option is a dataclass field that carries
its rule (:func:`number`, :func:`choice`, ...), so corpora, perturbations and encoders declare theirs in their own file
in the same way. Every error names the key, the value and the bounds.
"""

import dataclasses
import math
import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from earshift import plugins as scan
from earshift.analysis.agreement import LATENT
from earshift.analysis.desensitise import METHODS
from earshift.errors import UserError
from earshift.options import (
    Confidence,
    Count,
    Interval,
    Known,
    Names,
    Options,
    Seed,
    Text,
    check,
    choose,
    hint,
    problem,
)
from earshift.pipeline import paths

LARGEST = 1 << 20  # bytes of params.yaml or a preset
MOST = 100_000  # keys and values in it, those behind an alias counted wherever it stands
DEEPEST = 20  # levels

# ------------------------------------------------------------------------------------------------------- the sections


@dataclass(frozen=True)
class Split(Options):
    folds: Annotated[int, Interval(ge=2, le=100)]
    seed: Seed
    balance: bool
    balance_seed: Seed


@dataclass(frozen=True)
class Run(Options):
    encoders: Names
    perturbations: Names


@dataclass(frozen=True)
class Classes(Options):
    """``tags``: how many of the commonest are classes, where clips have tags and no labels."""

    tags: Annotated[int, Interval(ge=1, le=10_000)]


@dataclass(frozen=True)
class Perturb(Options):
    keep_audio: bool | None
    severity_clips: Count
    reverb_tail: bool | None
    wav_round_trip: bool | None
    clip: bool | None


@dataclass(frozen=True)
class Distances(Options):
    """``mfcc`` counts the first coefficient, which is left out; ``subsequence`` is in frames."""

    measures: Annotated[Names, Known("dtw", "simple")]
    mfcc: Annotated[int, Interval(ge=2, le=128)]
    subsequence: Annotated[int, Interval(ge=1, le=100_000)]


@dataclass(frozen=True)
class Cca(Options):
    ridge: Annotated[float, Interval(ge=0, le=10)]
    seed: Seed
    permutations: Annotated[int, Interval(ge=1, le=100_000)]
    bootstrap: Count
    confidence: Confidence


@dataclass(frozen=True)
class Svd(Options):
    seed: Seed
    permutations: Annotated[int, Interval(ge=1, le=1000)]
    confidence: Confidence
    energy: Annotated[float, Interval(ge=0.01, le=0.9999)]


def _thresholds(value: object) -> float | tuple[float, ...]:
    several = value if isinstance(value, list) else [value]
    good = [isinstance(v, int | float) and not isinstance(v, bool) and 0 < v <= 1 for v in several]
    if not several or not all(good) or len(set(several)) < len(several):
        wanted = "a number above 0, up to 1, or a list of different ones"
        raise problem("is {value}; it must be {wanted}", value=repr(value), wanted=wanted)
    return tuple(float(v) for v in several) if isinstance(value, list) else float(several[0])


@dataclass(frozen=True)
class Robustness(Options):
    """``svd_threshold`` is one number, or a list of them: the method is then evaluated at each.

    ``positives``: the most clips of a tag that its classifier is trained on.
    """

    methods: Annotated[Names, Known(*METHODS)]
    svd_threshold: Annotated[float | tuple[float, ...], BeforeValidator(_thresholds)]
    positives: Annotated[int, Interval(ge=3, le=1_000_000)]
    seed: Seed
    bootstrap: Annotated[int, Interval(ge=1, le=100_000)]
    confidence: Confidence


@dataclass(frozen=True)
class TrajectoryMaps(Options):
    clips: Annotated[int, Interval(ge=1, le=20)]
    neighbours: Annotated[int, Interval(ge=2, le=100)]
    seed: Seed
    bootstrap: Count
    confidence: Confidence


@dataclass(frozen=True)
class Consistency(Options):
    """``latent``: distances between vectors, of those in :mod:`earshift.analysis.agreement`."""

    latent: Annotated[Names, Known(*LATENT)]
    threshold: Annotated[float, Interval(ge=0.01, le=1)]
    seed: Seed
    bootstrap: Count
    confidence: Confidence


@dataclass(frozen=True)
class Tsne(Options):
    """``clips``: how many of the corpus the map shows."""

    clips: Annotated[int, Interval(ge=1, le=5_000)]
    perplexity: Annotated[float, Interval(ge=1, le=1_000)]
    seed: Seed


@dataclass(frozen=True)
class Comparison(Options):
    severity: Literal["lsd_db", "loudness_lu", "snr_db"]
    confidence: Confidence


@dataclass(frozen=True)
class Significance(Options):
    """``basis``: the most functions of a smooth of magnitude, its constant among them."""

    basis: Annotated[int, Interval(ge=3, le=100)]
    confidence: Confidence


@dataclass(frozen=True)
class Figures(Options):
    instrument: Text


@dataclass(frozen=True)
class Report(Options):
    """``players``: None leaves it to the corpus' licence."""

    clips: Annotated[int, Interval(ge=1, le=20)]
    players: bool | None


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        raise problem("is {value}; it must be auto, cpu, cuda or cuda:N", value=repr(value))
    return value


@dataclass(frozen=True)
class Compute(Options):
    workers: Literal["auto"] | Annotated[int, Interval(ge=1, le=1024)]
    scheduler: Text | None
    device: Annotated[str, AfterValidator(_device)]
    chunk: Annotated[int, Interval(ge=1, le=10_000)]
    gpu_batch: Annotated[int, Interval(ge=1, le=10_000)]


@dataclass(frozen=True)
class TaskTraining(Options):
    """One task of networks that are trained here; ``corpus``: what it is trained on, None for the pipeline's own."""

    corpus: Text | None
    epochs: Count


@dataclass(frozen=True)
class Tagging(TaskTraining):
    """``tags``: how many of the commonest are learned."""

    tags: Annotated[int, Interval(ge=2, le=10_000)]


@dataclass(frozen=True)
class Training(Options):
    """Of networks that are trained here. ``validation`` and ``draw`` are shares of recordings."""

    autoencoder: TaskTraining
    autotagging: Tagging
    instruments: TaskTraining
    separation: TaskTraining
    validation: Annotated[float, Interval(ge=0.01, le=0.5)]
    draw: Annotated[float, Interval(ge=0.01, le=1)]
    seed: Seed
    batch: Annotated[int, Interval(ge=2, le=10_000)]
    patience: Count | None
    learning_rate: Annotated[float, Interval(ge=1e-8, le=10)]
    final_learning_rate: Annotated[float, Interval(ge=1e-8, le=10)]
    weight_decay: Annotated[float, Interval(ge=0, le=1)]
    dropout: Annotated[float, Interval(ge=0, le=0.95)]
    threads: Annotated[int, Interval(ge=1, le=256)]
    mixed_precision: bool
    unpool_places: bool | None
    linear_mfcc_target: bool | None
    two_sided_mask: bool | None
    references_apart: bool | None
    bootstrap: Count
    confidence: Confidence

    def switches(self, fidelity):
        """The accidents of the published networks that are on: those set by hand, else as ``fidelity`` says."""
        names = ("unpool_places", "linear_mfcc_target", "two_sided_mask", "references_apart")
        return {n: fidelity == "paper" if getattr(self, n) is None else getattr(self, n) for n in names}


@dataclass(frozen=True)
class CorpusParams:
    """The ``corpus`` section: which corpus, how it is split, its options (``source``), and those of all corpora."""

    name: str
    on_bad_clip: str
    split: Split
    source: object
    sources: dict


@dataclass(frozen=True)
class Params:
    """All of params.yaml. ``perturbations`` and ``encoders`` hold configured plugins by name."""

    fidelity: str
    corpus: CorpusParams
    run: Run
    classes: Classes
    perturb: Perturb
    perturbations: dict
    training: Training
    diverse: object
    encoders: dict
    distances: Distances
    cca: Cca
    svd: Svd
    trajectories: TrajectoryMaps
    robustness: Robustness
    consistency: Consistency
    tsne: Tsne
    comparison: Comparison
    significance: Significance
    figures: Figures
    report: Report
    compute: Compute

    @cached_property
    def switches(self):
        """The accidents of the published chain that are on: those set by hand, else as ``fidelity`` says."""
        by_fidelity = self.fidelity == "paper"
        switches = {name: getattr(self.perturb, name) for name in ("reverb_tail", "wav_round_trip", "clip")}
        return {name: by_fidelity if value is None else value for name, value in switches.items()}

    def training_corpus(self, task):
        """Name of the corpus that a task is trained on, None for the pipeline's own."""
        return getattr(self.training, task, self.diverse).corpus

    def keeps_audio(self, perturbation):
        """Whether effected audio is kept: as ``perturb.keep_audio`` says, else where making it takes long."""
        kept = self.perturb.keep_audio
        return self.perturbations[perturbation].costly if kept is None else kept


def load(path=paths.PARAMS):
    """Read and check params.yaml as a whole.

    Returns
    -------
    Params

    Raises
    ------
    UserError
        Naming the first key that is unknown, missing or out of bounds.
    """
    return parse(read(path))


def read(path=paths.PARAMS):
    """params.yaml as plain dictionaries and lists, unchecked.

    Raises
    ------
    UserError
        If it is missing, no YAML, larger than 1 MiB, or stands for more than 100,000 keys and values or 20 levels.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        if os.path.getsize(path) > LARGEST:
            raise UserError(f"{path} is larger than {LARGEST >> 20} MiB; `git checkout {path}` brings it back")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        yaml = YAML(typ="safe")
        if "*" in text and _expanded(yaml.compose(text), {}) > MOST:
            raise UserError(f"{path} stands for more than {MOST} keys and values behind its aliases (*); use fewer")
        document = yaml.load(text)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run from the repository root, or `git checkout {path}`") from error
    except (YAMLError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        # the latter as its reader raises them: over days of no calendar, numbers of no digits, levels without end
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise UserError(f"{path} must hold sections of keys and values")
    _check_plain(document, path, DEEPEST)
    return document


def _expanded(node, known):
    """How many keys and values a node of YAML stands for once every alias is written out."""
    if node is None or isinstance(node.value, str):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf  # what it stands for if it is met again within itself
        parts = (part for item in node.value for part in (item if isinstance(item, tuple) else (item,)))
        known[id(node)] = 1 + sum(_expanded(part, known) for part in parts)
    return known[id(node)]


def _check_plain(value, path, levels):
    """Refuse what no option can be and what could not even be named: deep nests, numbers of thousands of digits."""
    if levels == 0:
        raise UserError(f"{path} is nested more than {DEEPEST} levels deep; `git checkout {path}` brings it back")
    if isinstance(value, int) and value.bit_length() > 1024:
        raise UserError(f"{path} holds a whole number of more than 300 digits; give one that an option can have")
    if isinstance(value, (dict, list, tuple, set)):
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_plain(each, path, levels - 1)


def parse(document):
    """:class:`Params` from the plain content of params.yaml."""
    known = [f.name for f in dataclasses.fields(Params)]
    for section in document:
        if section not in known:
            close = hint(section, known)
            raise UserError(f"unknown section {section} in {paths.PARAMS}; known: {', '.join(known)}{close}")
    for section in known:
        if section not in document:
            raise UserError(f"missing section {section} in params.yaml")
    run = check(Run, document["run"], "run")
    fidelity = choose("fidelity", document["fidelity"], ("corrected", "paper"))
    params = Params(
        fidelity=fidelity,
        corpus=_corpus(document["corpus"]),
        run=run,
        classes=check(Classes, document["classes"], "classes"),
        perturb=check(Perturb, document["perturb"], "perturb"),
        perturbations=_perturbations(document["perturbations"]),
        diverse=_diverse(document["diverse"]),
        encoders=_encoders(document["encoders"], run.encoders, fidelity, document["diverse"]),
        training=check(Training, document["training"], "training"),
        distances=check(Distances, document["distances"], "distances"),
        cca=check(Cca, document["cca"], "cca"),
        svd=check(Svd, document["svd"], "svd"),
        trajectories=check(TrajectoryMaps, document["trajectories"], "trajectories"),
        robustness=check(Robustness, document["robustness"], "robustness"),
        consistency=check(Consistency, document["consistency"], "consistency"),
        tsne=check(Tsne, document["tsne"], "tsne"),
        comparison=check(Comparison, document["comparison"], "comparison"),
        significance=check(Significance, document["significance"], "significance"),
        figures=check(Figures, document["figures"], "figures"),
        report=check(Report, document["report"], "report"),
        compute=check(Compute, document["compute"], "compute"),
    )
    for kind in ("perturbations", "encoders"):
        for name in getattr(run, kind):
            if name not in getattr(params, kind):
                configured = ", ".join(getattr(params, kind))
                raise UserError(
                    f"run.{kind} names {name!r}, which has no section under {kind}; configured: {configured}"
                    f"{hint(name, getattr(params, kind))}"
                )
    return params


def _sections(document, key):
    if not isinstance(document, dict) or not document:
        raise UserError(f"{key} must be a section with at least one entry")
    return document


def _corpus(document):
    known = scan.plugins("corpora")
    own = {"name", "on_bad_clip", "split"}
    _sections(document, "corpus")
    for key in document:
        if key not in own | set(known):
            raise UserError(f"unknown key corpus.{key}; known: {', '.join([*sorted(own), *known])}{hint(key, known)}")
    for key in own:
        if key not in document:
            raise UserError(f"missing key corpus.{key} in {paths.PARAMS}")
    name = choose("corpus.name", document["name"], known)
    sources = {key: check(known[key], document[key], f"corpus.{key}") for key in document if key in known}
    return CorpusParams(
        name=name,
        on_bad_clip=choose("corpus.on_bad_clip", document["on_bad_clip"], ("error", "skip")),
        split=check(Split, document["split"], "corpus.split"),
        source=sources.get(name) or check(known[name], {}, f"corpus.{name}"),
        sources=sources,
    )


def _perturbations(document):
    known = scan.plugins("perturbations")
    for name in _sections(document, "perturbations"):
        if name not in known:
            raise UserError(f"unknown perturbation perturbations.{name}; known: {', '.join(known)}{hint(name, known)}")
    return {name: check(known[name], options, f"perturbations.{name}") for name, options in document.items()}


def _diverse(document):
    from earshift.training.verma2023 import losses
    from earshift.training.verma2023.options import Diverse

    found = check(Diverse, document, "diverse")
    losses.checked(found.loss, "diverse.loss")
    return found


def _encoders(document, wanted, fidelity, diverse):
    """Configured encoders by name; a null ``policy`` follows `fidelity`, streams share `diverse`."""
    known = scan.plugins("encoders")
    encoders = {}
    for name, options in _sections(document, "encoders").items():
        key = f"encoders.{name}"
        if not isinstance(options, (dict, type(None))):
            raise UserError(f"{key} is {options!r}; it must be a section of keys and values")
        options = dict(options or {})
        if "class" in options:
            if name not in wanted:
                continue  # somebody else's code is imported only when it is asked for
            cls = scan.imported(options.pop("class"), scan.base("encoders"), f"{key}.class")
        elif name in known:
            cls = known[name]
        else:
            raise UserError(
                f"unknown encoder {key}; known: {', '.join(known)}{hint(name, known)}; "
                f"an encoder of your own needs {key}.class: package.module:Class"
            )
        if getattr(cls, "streams", ()):
            options["diverse"] = diverse
        encoder = check(cls, options, key)
        undecided = getattr(encoder, "policy", fidelity) is None
        encoders[name] = dataclasses.replace(encoder, policy=fidelity) if undecided else encoder
    return encoders
