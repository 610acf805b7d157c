"""What figures, tables and page read: what was asked for, and what the analyses left on disk.

Conventions
-----------
A pair is (encoder, perturbation), in the order of ``run`` in params.yaml. Files of encoders and perturbations that are
not selected may lie about from earlier runs and are never looked at. A result is read when it is first asked for and
kept. Nothing here knows params.yaml or where the files of a repository lie: whoever makes a report hands both in
(:class:`Study`, :class:`Folders`).
"""

import contextlib
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from earshift.analysis.cca import CcaResult
from earshift.analysis.comparison import ComparisonResult
from earshift.analysis.consistency import ConsistencyResult
from earshift.analysis.drops import RobustnessResult
from earshift.analysis.robustness import Robustness
from earshift.analysis.significance import SignificanceResult
from earshift.analysis.svd import SvdResult
from earshift.analysis.trajectories import TrajectoriesResult
from earshift.encoders.base import Encoder
from earshift.errors import UserError
from earshift.perturbations.base import Perturbation
from earshift.storage.results import read_result
from earshift.storage.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
Pair = tuple[str, str]

ANALYSES = ("cca", "svd", "trajectories", "robustness", "consistency", "performance")

# The result of performance is not declared yet
PerformanceResult = dict[str, Any]


@dataclass(frozen=True)
class Switch:
    """An accident of the first study's processing: whether it is on, and whether by hand and not by ``fidelity``."""

    on: bool
    by_hand: bool


@dataclass(frozen=True)
class Study:
    """What was asked for.

    encoders, perturbations : tuple of str, those of the run, in its order
    encoder_options, perturbation_options : dict {name: Encoder or Perturbation}, of the run, configured
    configured_encoders, configured_perturbations : tuple of str, all that have options, also those not in the run: a
        colour belongs to a place among them
    fidelity : "corrected" or "paper"
    switches : dict {name: Switch}
    corpus : str, its name
    folds, split_seed, balanced : how it is split
    tags : int, how many of the commonest are classes, where clips have tags and no labels
    robustness : options of robustness
    confidence : dict {section of params.yaml: float}, level of the intervals
    instrument : str, the one that pictures of one instrument show
    parameters : dict, options of what was run as they are written in params.yaml, for the record; nothing depends on it
    """

    encoders: tuple[str, ...]
    perturbations: tuple[str, ...]
    encoder_options: Mapping[str, Encoder]
    perturbation_options: Mapping[str, Perturbation]
    configured_encoders: tuple[str, ...]
    configured_perturbations: tuple[str, ...]
    fidelity: str
    switches: Mapping[str, Switch]
    corpus: str
    folds: int
    split_seed: int
    balanced: bool
    tags: int
    robustness: Robustness
    confidence: Mapping[str, float]
    instrument: str
    parameters: Mapping[str, Any]

    @property
    def pairs(self) -> list[Pair]:
        """All pairs, encoder by encoder."""
        return [(encoder, perturbation) for encoder in self.encoders for perturbation in self.perturbations]


@dataclass(frozen=True)
class Folders:
    """Where the results lie.

    metrics, plots : ANALYSIS/ENCODER/PERTURBATION.json, and a folder ANALYSIS/ENCODER/PERTURBATION with tables
    perturbed : PERTURBATION/severity.csv
    models : a folder with tables for every encoder that was trained here
    corpus, embeddings, weights, excerpts, figures : what the page reads beside results
    report : where the page is
    """

    metrics: Path
    plots: Path
    perturbed: Path
    models: Path
    corpus: Path
    embeddings: Path
    weights: Path
    excerpts: Path
    figures: Path
    report: Path


class OfPairs(Mapping[Pair, T], Generic[T]):
    """One result for every pair, read when it is asked for.

    Raises
    ------
    UserError
        From a look-up, if the file is missing, damaged, or of another version.
    """

    def __init__(self, folder: Path, model: type[T], pairs: list[Pair]) -> None:
        self._folder, self._model, self._pairs = folder, model, pairs
        self._known: dict[Pair, T] = {}

    def __getitem__(self, pair: Pair) -> T:
        if pair not in self._known:
            if pair not in self._pairs:
                raise KeyError(pair)
            self._known[pair] = read_result(self.path(pair), self._model)
        return self._known[pair]

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def path(self, pair: Pair) -> Path:
        """The file of a pair."""
        return self._folder / pair[0] / f"{pair[1]}.json"


class Results:
    """The results of all analyses, for the pairs of a study.

    Parameters
    ----------
    study : Study
    folders : Folders

    Raises
    ------
    UserError
        From everything that reads, if a file is missing, damaged, or of another version.
    """

    def __init__(self, study: Study, folders: Folders) -> None:
        self.study, self.folders = study, folders
        self.cca = self._of_pairs("cca", CcaResult)
        self.svd = self._of_pairs("svd", SvdResult)
        self.trajectories = self._of_pairs("trajectories", TrajectoriesResult)
        self.robustness = self._of_pairs("robustness", RobustnessResult)
        self.consistency = self._of_pairs("consistency", ConsistencyResult)
        self.performance = self._of_pairs("performance", PerformanceResult)

    def _of_pairs(self, analysis: str, model: type[T]) -> OfPairs[T]:
        return OfPairs(self.folders.metrics / analysis, model, self.study.pairs)

    @property
    def by_analysis(self) -> dict[str, OfPairs[Any]]:
        """The results of every pair by the name of their analysis, for what all of them have (notes, files)."""
        return {name: getattr(self, name) for name in ANALYSES}

    @cached_property
    def comparison(self) -> ComparisonResult:
        """The comparison of encoders."""
        return read_result(self.folders.metrics / "comparison.json", ComparisonResult)

    @cached_property
    def significance(self) -> SignificanceResult:
        """The models of consistency and performance."""
        return read_result(self.folders.metrics / "significance.json", SignificanceResult)

    def table(self, analysis: str, pair: Pair, name: str) -> "pd.DataFrame":
        """A table that an analysis left for a pair, such as ("cca", pair, "scatter")."""
        return read_table(self.folders.plots / analysis / pair[0] / pair[1] / f"{name}.csv")

    def whole_table(self, analysis: str, name: str) -> "pd.DataFrame":
        """A table of all pairs, such as ("comparison", "drops"), or of an encoder, ("tsne", "mfcc")."""
        return read_table(self.folders.plots / analysis / f"{name}.csv")

    def severity(self, perturbation: str) -> "pd.DataFrame":
        """What every value did to the audio: value, unit, strength, snr_db, loudness_lu, lsd_db, clips; by strength."""
        return read_table(self.folders.perturbed / perturbation / "severity.csv").sort_values("strength")

    def training_table(self, encoder: str, name: str) -> "pd.DataFrame":
        """A table that the training of an encoder left."""
        return read_table(self.folders.models / encoder / f"{name}.csv")

    def unit(self, perturbation: str) -> str:
        """Unit of a perturbation's values, "" where they have none."""
        return self.cca[self.study.encoders[0], perturbation]["unit"]

    def values(self, perturbation: str) -> list[str]:
        """Values of a perturbation as text, in order of growing strength."""
        return self.cca[self.study.encoders[0], perturbation]["values"]


@contextlib.contextmanager
def as_written() -> Iterator[None]:
    """A block that reads and words results: what it stumbles over in files that no stage wrote becomes one message.

    Raises
    ------
    UserError
        With the place in the code, for a mistake of ours looks the same.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"results on disk are not what their stages wrote ({type(error).__name__}: {error}, at "
            f"{Path(last.filename).name}:{last.lineno}); `dvc status` names the files that changed, `dvc checkout` "
            "brings them back"
        ) from error


def existing(path: Path) -> Path:
    """`path` itself, which must exist.

    Raises
    ------
    UserError
        Naming the file and the command that makes it.
    """
    if not path.exists():
        raise UserError(f"{path} is missing; `dvc repro` computes it, `dvc pull` fetches it")
    return path
