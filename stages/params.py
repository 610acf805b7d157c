"""params.yaml as frozen dataclasses, checked before anything runs.

Conventions
-----------
Every number has one home, params.yaml: no option has a default in code. Each option is a dataclass field that carries
its rule (:func:`number`, :func:`choice`, ...), so corpora, perturbations and encoders declare theirs in their own file
in the same way. Every error names the key, the value and the bounds.
"""

import dataclasses
import difflib
import math
import os
import re
from dataclasses import dataclass, field
from functools import cached_property

from stages import paths, scan
from stages.errors import UserError

LARGEST = 1 << 20  # bytes of params.yaml or a preset
MOST = 100_000  # keys and values in it, those behind an alias counted wherever it stands
DEEPEST = 20  # levels

# ---------------------------------------------------------------------------------------------------------- the rules


def _rule(check):
    return field(metadata={"check": check})


def number(low, high, *, nullable=False):
    """A finite real number in [low, high]."""

    def check(key, value):
        if value is None and nullable:
            return None
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            raise UserError(f"{key} is {value!r}; it must be a number from {low:g} to {high:g}{_or_null(nullable)}")
        return float(value)

    return _rule(check)


def integer(low, high, *, nullable=False):
    """A whole number in [low, high]."""

    def check(key, value):
        if value is None and nullable:
            return None
        good = isinstance(value, int) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            raise UserError(f"{key} is {value!r}; it must be a whole number from {low} to {high}{_or_null(nullable)}")
        return value

    return _rule(check)


def flag(*, nullable=False):
    """true or false."""

    def check(key, value):
        if not (isinstance(value, bool) or (value is None and nullable)):
            raise UserError(f"{key} is {value!r}; it must be true or false{_or_null(nullable)}")
        return value

    return _rule(check)


def choice(*allowed, nullable=False):
    """One of a few words."""

    def check(key, value):
        if value is None and nullable:
            return None
        if value not in allowed:
            known = ", ".join(map(str, allowed))
            raise UserError(f"{key} is {value!r}; it must be one of {known}{_or_null(nullable)}{_hint(value, allowed)}")
        return value

    return _rule(check)


def text(*, nullable=False):
    """Any non-empty text."""

    def check(key, value):
        if value is None and nullable:
            return None
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise UserError(f"{key} is {value!r}; it must be a text{_or_null(nullable)}")
        return value

    return _rule(check)


def names():
    """A list of distinct words, at least one."""

    def check(key, value):
        if not isinstance(value, list) or not value or not all(isinstance(v, str) and v for v in value):
            raise UserError(f"{key} is {value!r}; it must be a list of names with at least one entry")
        if len(set(value)) < len(value):
            raise UserError(f"{key} names {_first_twin(value)!r} twice; name each once")
        return tuple(value)

    return _rule(check)


def some_of(known):
    """A list of distinct words out of `known`, which may be empty."""

    def check(key, value):
        return () if value == [] else _known_names(key, value, known)

    return _rule(check)


def numbers(low, high):
    """A list of distinct numbers in [low, high], at least one."""

    def check(key, value):
        if not isinstance(value, list) or not value or len(set(map(str, value))) < len(value):
            raise UserError(f"{key} is {value!r}; it must be a list of different numbers, at least one")
        return tuple(number(low, high).metadata["check"](key, v) for v in value)

    return _rule(check)


def corpus_name():
    """The name of a corpus, or null for the pipeline's own."""

    def check(key, value):
        return None if value is None else choice(*scan.plugins("corpus")).metadata["check"](key, value)

    return _rule(check)


def grid(low, high, *, whole=False):
    """At least two distinct numbers in [low, high]; the order in which they are written does not matter."""

    def check(key, value):
        if not isinstance(value, list) or len(value) < 2:
            raise UserError(f"{key} is {value!r}; it must be a list of at least two values")
        for v in value:
            good = isinstance(v, (int, float)) and not isinstance(v, bool)
            if not good or not low <= v <= high or (whole and v != int(v)):
                kind = "whole numbers" if whole else "numbers"
                raise UserError(f"{key} holds {v!r}; its values must be {kind} from {low:g} to {high:g}")
        texts = [value_text(v) for v in value]
        if len(set(texts)) < len(texts):
            raise UserError(f"{key} holds {_first_twin(texts)} twice; write each value once")
        return tuple(float(v) for v in value)

    return _rule(check)


def section(cls):
    """Options of their own, as a dataclass whose fields have rules."""
    return _rule(lambda key, value: build(cls, value, key))


def value_text(value):
    """The canonical text of a perturbation's value: file name, key and label alike (-40, 0.5, 18333.333)."""
    return format(float(value) + 0.0, ".10g")


def _or_null(nullable):
    return ", or null" if nullable else ""


def _hint(word, known):
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _first_twin(values):
    return next(v for i, v in enumerate(values) if v in values[:i])


def build(cls, values, key):
    """An instance of an options dataclass from a mapping, each field checked by its rule.

    Raises
    ------
    UserError
        On an unknown or missing key, or a value that breaks its field's rule.
    """
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise UserError(f"{key} is {values!r}; it must be a section of keys and values")
    fields = {f.name: f for f in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else {}
    for name in values:
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise UserError(f"unknown key {key}.{name}; known keys there: {known}{_hint(name, fields)}")
    for name in fields:
        if name not in values:
            raise UserError(f"missing key {key}.{name} in {paths.PARAMS}; {paths.PARAMS} as committed has it")
    return cls(**{name: f.metadata["check"](f"{key}.{name}", values[name]) for name, f in fields.items()})


# ------------------------------------------------------------------------------------------------------- the sections


@dataclass(frozen=True)
class Split:
    folds: int = integer(2, 100)
    seed: int = integer(0, 2**32 - 1)
    balance: bool = flag()
    balance_seed: int = integer(0, 2**32 - 1)


@dataclass(frozen=True)
class Run:
    encoders: tuple = names()
    perturbations: tuple = names()


@dataclass(frozen=True)
class Classes:
    """``tags``: how many of the commonest are classes, where clips have tags and no labels."""

    tags: int = integer(1, 10_000)


@dataclass(frozen=True)
class Perturb:
    keep_audio: bool = flag(nullable=True)
    severity_clips: int = integer(1, 1_000_000)
    reverb_tail: bool = flag(nullable=True)
    wav_round_trip: bool = flag(nullable=True)
    clip: bool = flag(nullable=True)


@dataclass(frozen=True)
class Distances:
    """``mfcc`` counts the first coefficient, which is left out; ``subsequence`` is in frames."""

    measures: tuple = _rule(lambda key, value: _measures(key, value))
    mfcc: int = integer(2, 128)
    subsequence: int = integer(1, 100_000)


def _measures(key, value):
    for name in names().metadata["check"](key, value):
        choice("dtw", "simple").metadata["check"](key, name)
    return tuple(value)


@dataclass(frozen=True)
class Cca:
    ridge: float = number(0, 10)
    seed: int = integer(0, 2**32 - 1)
    permutations: int = integer(1, 100_000)
    bootstrap: int = integer(1, 1_000_000)
    confidence: float = number(0.5, 0.999)


@dataclass(frozen=True)
class Svd:
    seed: int = integer(0, 2**32 - 1)
    permutations: int = integer(1, 1000)
    confidence: float = number(0.5, 0.999)
    energy: float = number(0.01, 0.9999)


@dataclass(frozen=True)
class Robustness:
    """``svd_threshold`` is one number, or a list of them: the method is then evaluated at each.

    ``positives``: the most clips of a tag that its classifier is trained on.
    """

    methods: tuple = _rule(lambda key, value: _methods(key, value))
    svd_threshold: object = _rule(lambda key, value: _thresholds(key, value))
    positives: int = integer(3, 1_000_000)
    seed: int = integer(0, 2**32 - 1)
    bootstrap: int = integer(1, 100_000)
    confidence: float = number(0.5, 0.999)


def _methods(key, value):
    from stages.analyse.desensitise import METHODS

    return _known_names(key, value, METHODS)


def _known_names(key, value, known):
    wanted = names().metadata["check"](key, value)
    for name in wanted:
        if name not in known:
            raise UserError(f"{key} names {name!r}; known: {', '.join(known)}{_hint(name, known)}")
    return wanted


def _thresholds(key, value):
    several = value if isinstance(value, list) else [value]
    good = [isinstance(v, (int, float)) and not isinstance(v, bool) and 0 < v <= 1 for v in several]
    if not several or not all(good) or len(set(several)) < len(several):
        raise UserError(f"{key} is {value!r}; it must be a number above 0, up to 1, or a list of different ones")
    return tuple(float(v) for v in several) if isinstance(value, list) else float(value)


@dataclass(frozen=True)
class TrajectoryMaps:
    clips: int = integer(1, 20)
    neighbours: int = integer(2, 100)
    seed: int = integer(0, 2**32 - 1)
    bootstrap: int = integer(1, 1_000_000)
    confidence: float = number(0.5, 0.999)


@dataclass(frozen=True)
class Consistency:
    """``latent``: distances between vectors, of those in :mod:`stages.analyse.agreement`."""

    latent: tuple = _rule(lambda key, value: _latent_distances(key, value))
    threshold: float = number(0.01, 1)
    seed: int = integer(0, 2**32 - 1)
    bootstrap: int = integer(1, 1_000_000)
    confidence: float = number(0.5, 0.999)


def _latent_distances(key, value):
    from stages.analyse.agreement import LATENT

    return _known_names(key, value, LATENT)


@dataclass(frozen=True)
class Tsne:
    """``clips``: how many of the corpus the map shows."""

    clips: int = integer(1, 5_000)
    perplexity: float = number(1, 1_000)
    seed: int = integer(0, 2**32 - 1)


@dataclass(frozen=True)
class Comparison:
    severity: str = choice("lsd_db", "loudness_lu", "snr_db")
    confidence: float = number(0.5, 0.999)


@dataclass(frozen=True)
class Significance:
    """``basis``: the most functions of a smooth of magnitude, its constant among them."""

    basis: int = integer(3, 100)
    confidence: float = number(0.5, 0.999)


@dataclass(frozen=True)
class Figures:
    instrument: str = text()


@dataclass(frozen=True)
class Report:
    """``players``: None leaves it to the corpus' licence."""

    clips: int = integer(1, 20)
    players: bool = flag(nullable=True)


@dataclass(frozen=True)
class Compute:
    workers: object = _rule(lambda key, value: _workers(key, value))
    scheduler: str = text(nullable=True)
    device: str = _rule(lambda key, value: _device(key, value))
    chunk: int = integer(1, 10_000)
    gpu_batch: int = integer(1, 10_000)


def _workers(key, value):
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1024):
        return value
    raise UserError(f"{key} is {value!r}; it must be auto or a whole number from 1 to 1024")


def _device(key, value):
    if isinstance(value, str) and re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        return value
    raise UserError(f"{key} is {value!r}; it must be auto, cpu, cuda or cuda:N")


@dataclass(frozen=True)
class Lessons:
    """One task of networks that are trained here; ``corpus``: what it is trained on, None for the pipeline's own."""

    corpus: str = corpus_name()
    epochs: int = integer(1, 1_000_000)


@dataclass(frozen=True)
class Tagging(Lessons):
    """``tags``: how many of the commonest are learned."""

    tags: int = integer(2, 10_000)


@dataclass(frozen=True)
class Training:
    """Of networks that are trained here. ``validation`` and ``draw`` are shares of recordings."""

    autoencoder: Lessons = section(Lessons)
    autotagging: Tagging = section(Tagging)
    instruments: Lessons = section(Lessons)
    separation: Lessons = section(Lessons)
    validation: float = number(0.01, 0.5)
    draw: float = number(0.01, 1)
    seed: int = integer(0, 2**32 - 1)
    batch: int = integer(2, 10_000)
    patience: int = integer(1, 1_000_000, nullable=True)
    learning_rate: float = number(1e-8, 10)
    final_learning_rate: float = number(1e-8, 10)
    weight_decay: float = number(0, 1)
    dropout: float = number(0, 0.95)
    threads: int = integer(1, 256)
    mixed_precision: bool = flag()
    unpool_places: bool = flag(nullable=True)
    linear_mfcc_target: bool = flag(nullable=True)
    two_sided_mask: bool = flag(nullable=True)
    references_apart: bool = flag(nullable=True)
    bootstrap: int = integer(1, 1_000_000)
    confidence: float = number(0.5, 0.999)

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

    def lesson_corpus(self, task):
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
            hint = _hint(section, known)
            raise UserError(f"unknown section {section} in {paths.PARAMS}; known: {', '.join(known)}{hint}")
    for section in known:
        if section not in document:
            raise UserError(f"missing section {section} in params.yaml")
    run = build(Run, document["run"], "run")
    fidelity = choice("corrected", "paper").metadata["check"]("fidelity", document["fidelity"])
    params = Params(
        fidelity=fidelity,
        corpus=_corpus(document["corpus"]),
        run=run,
        classes=build(Classes, document["classes"], "classes"),
        perturb=build(Perturb, document["perturb"], "perturb"),
        perturbations=_perturbations(document["perturbations"]),
        diverse=_diverse(document["diverse"]),
        encoders=_encoders(document["encoders"], run.encoders, fidelity, document["diverse"]),
        training=build(Training, document["training"], "training"),
        distances=build(Distances, document["distances"], "distances"),
        cca=build(Cca, document["cca"], "cca"),
        svd=build(Svd, document["svd"], "svd"),
        trajectories=build(TrajectoryMaps, document["trajectories"], "trajectories"),
        robustness=build(Robustness, document["robustness"], "robustness"),
        consistency=build(Consistency, document["consistency"], "consistency"),
        tsne=build(Tsne, document["tsne"], "tsne"),
        comparison=build(Comparison, document["comparison"], "comparison"),
        significance=build(Significance, document["significance"], "significance"),
        figures=build(Figures, document["figures"], "figures"),
        report=build(Report, document["report"], "report"),
        compute=build(Compute, document["compute"], "compute"),
    )
    for kind in ("perturbations", "encoders"):
        for name in getattr(run, kind):
            if name not in getattr(params, kind):
                configured = ", ".join(getattr(params, kind))
                raise UserError(
                    f"run.{kind} names {name!r}, which has no section under {kind}; configured: {configured}"
                    f"{_hint(name, getattr(params, kind))}"
                )
    return params


def _sections(document, key):
    if not isinstance(document, dict) or not document:
        raise UserError(f"{key} must be a section with at least one entry")
    return document


def _corpus(document):
    known = scan.plugins("corpus")
    own = {"name", "on_bad_clip", "split"}
    _sections(document, "corpus")
    for key in document:
        if key not in own | set(known):
            raise UserError(f"unknown key corpus.{key}; known: {', '.join([*sorted(own), *known])}{_hint(key, known)}")
    for key in own:
        if key not in document:
            raise UserError(f"missing key corpus.{key} in {paths.PARAMS}")
    name = choice(*known).metadata["check"]("corpus.name", document["name"])
    sources = {key: build(known[key], document[key], f"corpus.{key}") for key in document if key in known}
    return CorpusParams(
        name=name,
        on_bad_clip=choice("error", "skip").metadata["check"]("corpus.on_bad_clip", document["on_bad_clip"]),
        split=build(Split, document["split"], "corpus.split"),
        source=sources.get(name) or build(known[name], {}, f"corpus.{name}"),
        sources=sources,
    )


def _perturbations(document):
    known = scan.plugins("perturb")
    for name in _sections(document, "perturbations"):
        if name not in known:
            raise UserError(f"unknown perturbation perturbations.{name}; known: {', '.join(known)}{_hint(name, known)}")
    return {name: build(known[name], options, f"perturbations.{name}") for name, options in document.items()}


def _diverse(document):
    from stages.train.diverse import losses
    from stages.train.diverse.options import Diverse

    found = build(Diverse, document, "diverse")
    losses.checked(found.loss, "diverse.loss")
    return found


def _encoders(document, wanted, fidelity, diverse):
    """Configured encoders by name; a null ``policy`` follows `fidelity`, streams share `diverse`."""
    known = scan.plugins("encode")
    encoders = {}
    for name, options in _sections(document, "encoders").items():
        key = f"encoders.{name}"
        if not isinstance(options, (dict, type(None))):
            raise UserError(f"{key} is {options!r}; it must be a section of keys and values")
        options = dict(options or {})
        if "class" in options:
            if name not in wanted:
                continue  # somebody else's code is imported only when it is asked for
            cls = scan.imported(options.pop("class"), scan.base("encode"), f"{key}.class")
        elif name in known:
            cls = known[name]
        else:
            raise UserError(
                f"unknown encoder {key}; known: {', '.join(known)}{_hint(name, known)}; "
                f"an encoder of your own needs {key}.class: package.module:Class"
            )
        if getattr(cls, "streams", ()):
            options["diverse"] = diverse
        encoder = build(cls, options, key)
        undecided = getattr(encoder, "policy", fidelity) is None
        encoders[name] = dataclasses.replace(encoder, policy=fidelity) if undecided else encoder
    return encoders
