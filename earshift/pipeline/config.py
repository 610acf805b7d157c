"""params.yaml as frozen dataclasses, checked before anything runs.

Conventions
-----------
Every number has one home, params.yaml: no option has a default in code. Each section is a dataclass that stands beside
the code that it is for (:mod:`earshift.options`); corpora, perturbations and encoders are found by a scan of their
packages. Every error names the key, the value and the bounds. An option under a name of an earlier version is an error
that says the name of today (:data:`RENAMED`), in presets too.
"""

import dataclasses
import math
import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import earshift.corpora
import earshift.encoders
import earshift.perturbations
from earshift.analysis.cca import Cca
from earshift.analysis.comparison import Comparison
from earshift.analysis.consistency import Consistency
from earshift.analysis.data import Classes
from earshift.analysis.distances import DistanceOptions
from earshift.analysis.robustness import Robustness
from earshift.analysis.significance import Significance
from earshift.analysis.svd import Svd
from earshift.analysis.trajectories import TrajectoryMaps
from earshift.analysis.tsne import Tsne
from earshift.corpora.base import Corpus
from earshift.corpora.split import Split
from earshift.encoders.base import Encoder
from earshift.errors import UserError
from earshift.options import (
    Count,
    Interval,
    Names,
    Options,
    Text,
    check,
    check_all,
    choose,
    hint,
)
from earshift.perturbations.base import Perturbation
from earshift.pipeline import paths
from earshift.pipeline.compute import Compute
from earshift.plugins import find_plugins, import_class
from earshift.protocols import StrPath
from earshift.training.kim2019.options import Training
from earshift.training.verma2023.options import Diverse

LARGEST = 1 << 20  # bytes of params.yaml or a preset
MOST = 100_000  # keys and values in it, those behind an alias counted wherever it stands
DEEPEST = 20  # levels

# Options of earlier versions and their names of today; "KEY = WORD" is a word in the value of an option, or a preset
RENAMED = {
    "preset = full-grids": "deng2025-grids",
    "preset = paper": "deng2025",
    "preset = rehearsal": "deng2025-rehearsal",
    "preset = paper3": "kim2019",
    "preset = paper3-grids": "kim2019-grids",
    "preset = paper3-sample": "kim2019-sample",
    "preset = diverse-sample": "verma2023-sample",
    "perturbations.ambient_noise.source": "perturbations.ambient_noise.recordings",
}

# ------------------------------------------------------------------------------------------------------- the sections


@dataclass(frozen=True)
class Run(Options):
    encoders: Names
    perturbations: Names


@dataclass(frozen=True)
class Perturb(Options):
    keep_audio: bool | None
    severity_clips: Count
    reverb_tail: bool | None
    wav_round_trip: bool | None
    clip: bool | None


@dataclass(frozen=True)
class Figures(Options):
    instrument: Text


@dataclass(frozen=True)
class Report(Options):
    """``players``: None leaves it to the corpus' licence."""

    clips: Annotated[int, Interval(ge=1, le=20)]
    players: bool | None


@dataclass(frozen=True)
class CorpusConfig:
    """The ``corpus`` section.

    name : str, of the corpus that is used
    on_bad_clip : "error" or "skip"
    split : Split
    chosen : Corpus, the one that is used with its options
    configured : dict of str to Corpus, all that have a section
    """

    name: str
    on_bad_clip: str
    split: Split
    chosen: Corpus
    configured: dict[str, Corpus]


@dataclass(frozen=True)
class Config:
    """All of params.yaml. ``perturbations`` and ``encoders`` hold configured plugins by name."""

    fidelity: Literal["corrected", "paper"]
    corpus: CorpusConfig
    run: Run
    classes: Classes
    perturb: Perturb
    perturbations: dict[str, Perturbation]
    training: Training
    diverse: Diverse
    encoders: dict[str, Encoder]
    distances: DistanceOptions
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
    def switches(self) -> dict[str, bool]:
        """The accidents of the published processing that are on: those set by hand, else as ``fidelity`` says."""
        by_fidelity = self.fidelity == "paper"
        switches = {name: getattr(self.perturb, name) for name in ("reverb_tail", "wav_round_trip", "clip")}
        return {name: by_fidelity if value is None else value for name, value in switches.items()}

    def training_corpus(self, task: str) -> str | None:
        """Name of the corpus that a task is trained on, None for the pipeline's own."""
        name: str | None = getattr(self.training, task, self.diverse).corpus
        return name

    def pairs(self) -> list[tuple[str, str]]:
        """Every encoder under every perturbation of the run."""
        return [(encoder, perturbation) for encoder in self.run.encoders for perturbation in self.run.perturbations]

    def keeps_audio(self, perturbation: str) -> bool:
        """Whether effected audio is kept: as ``perturb.keep_audio`` says, else where making it takes long."""
        kept = self.perturb.keep_audio
        return self.perturbations[perturbation].costly if kept is None else kept


# ------------------------------------------------------------------------------------------------------------- reading


def load(path: StrPath = paths.PARAMS) -> Config:
    """Read and check params.yaml as a whole.

    Raises
    ------
    UserError
        Naming the first key that is unknown, missing or out of bounds.
    """
    return parse(read(path))


def read(path: StrPath = paths.PARAMS) -> dict[str, Any]:
    """params.yaml as plain dictionaries and lists, unchecked.

    Raises
    ------
    UserError
        If it is missing, no YAML, larger than 1 MiB, stands for more than 100,000 keys and values or 20 levels, or
        names an option as an earlier version did.
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
    _refuse_old_names(document, path)
    return document


def _refuse_old_names(document: dict[str, Any], path: StrPath) -> None:
    """Refuse an option, or a word in one, of an earlier version, and say its name of today."""
    for old, new in RENAMED.items():
        key, _, word = old.partition(" = ")
        *sections, option = key.split(".")
        found: Any = document
        for section in sections:
            found = found.get(section) if isinstance(found, dict) else None
        if isinstance(found, dict) and option in found:
            value = found[option]
            if not word or word == value or (isinstance(value, list) and word in value):
                raise UserError(f"{path}: {old} is now {new}; rename it there")


def _expanded(node: Any, known: dict[int, float]) -> float:
    """How many keys and values a node of YAML stands for once every alias is written out."""
    if node is None or isinstance(node.value, str):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf  # what it stands for if it is met again within itself
        parts = (part for item in node.value for part in (item if isinstance(item, tuple) else (item,)))
        known[id(node)] = 1 + sum(_expanded(part, known) for part in parts)
    return known[id(node)]


def _check_plain(value: object, path: StrPath, levels: int) -> None:
    """Refuse what no option can be and what could not even be named: deep nests, numbers of thousands of digits."""
    if levels == 0:
        raise UserError(f"{path} is nested more than {DEEPEST} levels deep; `git checkout {path}` brings it back")
    if isinstance(value, int) and value.bit_length() > 1024:
        raise UserError(f"{path} holds a whole number of more than 300 digits; give one that an option can have")
    if isinstance(value, dict | list | tuple | set):
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_plain(each, path, levels - 1)


# ------------------------------------------------------------------------------------------------------------ checking


def parse(document: dict[str, Any]) -> Config:
    """:class:`Config` from the plain content of params.yaml. Raises as :func:`load`."""
    sections = {field.name: field.type for field in dataclasses.fields(Config)}
    for section in document:
        if section not in sections:
            close = hint(section, sections)
            raise UserError(f"unknown section {section} in {paths.PARAMS}; known: {', '.join(sections)}{close}")
    for section in sections:
        if section not in document:
            raise UserError(f"missing section {section} in params.yaml")
    paper = choose("fidelity", document["fidelity"], ("corrected", "paper")) == "paper"
    fidelity: Literal["corrected", "paper"] = "paper" if paper else "corrected"
    run = check(Run, document["run"], "run")

    # Classes and contents of all sections by their keys: they are checked together, which is quicker
    classes: dict[str, type] = {name: cls for name, cls in sections.items() if isinstance(cls, type)}
    contents = dict(document)
    del classes["corpus"], classes["run"]
    for key, (cls, content) in {
        **_corpus_sections(document["corpus"]),
        **_perturbation_sections(document["perturbations"]),
        **_encoder_sections(document["encoders"], run.encoders, document["diverse"]),
    }.items():
        classes[key], contents[key] = cls, content
    found = check_all(classes, contents)

    corpora = _named(found, "corpus")
    corpus = CorpusConfig(
        name=document["corpus"]["name"],
        on_bad_clip=document["corpus"]["on_bad_clip"],
        split=corpora.pop("split"),
        chosen=corpora[document["corpus"]["name"]],
        configured={name: corpora[name] for name in corpora if name in document["corpus"]},
    )
    perturbations, encoders = _named(found, "perturbations"), _named(found, "encoders")
    for name, encoder in encoders.items():
        if getattr(encoder, "policy", fidelity) is None:
            encoders[name] = dataclasses.replace(encoder, policy=fidelity)
    _check_run("encoders", run.encoders, encoders)
    _check_run("perturbations", run.perturbations, perturbations)
    plain = {name: found[name] for name in sections if name in found}
    return Config(fidelity=fidelity, corpus=corpus, run=run, perturbations=perturbations, encoders=encoders, **plain)


def _named(found: dict[str, Any], kind: str) -> dict[str, Any]:
    """What was found below a section, by name."""
    return {key.removeprefix(f"{kind}."): value for key, value in found.items() if key.startswith(f"{kind}.")}


def _check_run(kind: str, names: tuple[str, ...], configured: dict[str, Any]) -> None:
    """Refuse names in ``run`` that have no section, or that a file, a stage of DVC or a shell would misread."""
    seen: dict[str, str] = {}
    for name in names:
        if name not in configured:
            raise UserError(
                f"run.{kind} names {name!r}, which has no section under {kind}; configured: {', '.join(configured)}"
                f"{hint(name, configured)}"
            )
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise UserError(
                f"run.{kind} names {name!r}; a name must begin with an ASCII letter or digit "
                "and contain only ASCII letters, digits, _ and -"
            )
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise UserError(
                f"run.{kind} names {other!r} and {name!r}, which name the same folder where file names ignore case; "
                "rename one of them"
            )


def _require_sections(document: object, key: str) -> dict[str, Any]:
    if not isinstance(document, dict) or not document:
        raise UserError(f"{key} must be a section with at least one entry")
    return document


def _corpus_sections(document: object) -> dict[str, tuple[type, object]]:
    """Class and content of the split and of every corpus, by key."""
    known = find_plugins(earshift.corpora, Corpus)
    own = {"name", "on_bad_clip", "split"}
    document = _require_sections(document, "corpus")
    for key in document:
        if key not in own | set(known):
            raise UserError(f"unknown key corpus.{key}; known: {', '.join([*sorted(own), *known])}{hint(key, known)}")
    for key in own:
        if key not in document:
            raise UserError(f"missing key corpus.{key} in {paths.PARAMS}")
    choose("corpus.on_bad_clip", document["on_bad_clip"], ("error", "skip"))
    name = choose("corpus.name", document["name"], known)
    names = [key for key in known if key in document or key == name]
    sections: dict[str, tuple[type, object]] = {f"corpus.{key}": (known[key], document.get(key)) for key in names}
    return {"corpus.split": (Split, document["split"]), **sections}


def _perturbation_sections(document: object) -> dict[str, tuple[type, object]]:
    """Class and content of every perturbation, by key."""
    known = find_plugins(earshift.perturbations, Perturbation)
    document = _require_sections(document, "perturbations")
    for name in document:
        if name not in known:
            raise UserError(f"unknown perturbation perturbations.{name}; known: {', '.join(known)}{hint(name, known)}")
    return {f"perturbations.{name}": (known[name], content) for name, content in document.items()}


def _encoder_sections(document: object, wanted: tuple[str, ...], streams: object) -> dict[str, tuple[type, object]]:
    """Class and content of every encoder, by key.

    Parameters
    ----------
    document : the section ``encoders``
    wanted : names of encoders in use; somebody else's code is imported only for these
    streams : the section ``diverse``, which all encoders of streams have as an option
    """
    known = find_plugins(earshift.encoders, Encoder)
    found: dict[str, tuple[type, object]] = {}
    for name, content in _require_sections(document, "encoders").items():
        key = f"encoders.{name}"
        if not isinstance(content, dict | None):
            raise UserError(f"{key} is {content!r}; it must be a section of keys and values")
        options = dict(content or {})
        if "class" in options:
            if name not in wanted:
                continue
            cls = import_class(options.pop("class"), Encoder, f"{key}.class")
        elif name in known:
            cls = known[name]
        else:
            raise UserError(
                f"unknown encoder {key}; known: {', '.join(known)}{hint(name, known)}; "
                f"an encoder of your own needs {key}.class: package.module:Class"
            )
        if getattr(cls, "streams", ()):
            options["diverse"] = streams
        found[key] = cls, options
    return found
