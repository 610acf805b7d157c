"""Where everything lies, relative to the repository root: the only module that spells a path."""

import os
from pathlib import Path

PARAMS = Path("params.yaml")
LOCK = Path("dvc.lock")
DVC_CONFIG = Path(".dvc/config")
DVC_CONFIG_LOCAL = Path(".dvc/config.local")  # git ignores it
PRESETS = Path("presets")
STAGES = Path("stages")
GOLDEN = Path("tests/encoders/golden")
HASHES = Path(".dvc/tmp/earshift-hashes.json")  # of the user's files, so that asking again is quick
CODE_MEMORY = Path(".dvc/tmp/earshift-code.json")  # of source files, likewise
LOCKS = Path(".dvc/tmp/earshift/locks")
SCRATCH = Path(".dvc/tmp/earshift")  # what a killed analysis had finished

# Of the repository itself, so that experiments in folders of their own have it too. None of it is an output of the
# pipeline: what it holds can be fetched or made again, and is checked against hashes that are.
_ROOT = Path(os.environ.get("DVC_ROOT", ""))
DOWNLOADS = _ROOT / "data/downloads"
AUDIO = _ROOT / "data/audio"
TRAINING = _ROOT / "data/training"
CHECKPOINTS = _ROOT / "data/checkpoints"
STORE = _ROOT / ".earshift"  # every finished artifact by its key (earshift.pipeline.store)
ARTIFACTS = Path("mlartifacts")  # of MLflow, where no server keeps them

CORPUS_INPUTS = Path("data/inputs/corpus.json")
CORPUS = Path("data/corpus")
CLIPS = CORPUS / "clips.csv"
PERTURBATION_INPUTS = Path("data/inputs/perturbations")
PERTURBED = Path("data/perturbed")
CODE_INPUTS = Path("data/inputs/code")
RUN_INPUTS = Path("data/inputs/run.json")
ENCODER_INPUTS = Path("data/inputs/encoders")
TRAINING_INPUTS = Path(
    "data/inputs/training"
)  # how networks are trained, and on what that is not the corpus, by encoder
MODELS = Path("data/models")
EMBEDDINGS = Path("data/embeddings")
EXCERPTS = Path("data/excerpts")
DISTANCES = Path("data/distances")
PROFILES = Path("data/profiles")  # what stages took; no outputs, of this folder alone

METRICS = Path("metrics")
SUMMARY = METRICS / "summary.json"
HEADLINE = METRICS / "headline.json"  # what `dvc exp show` shows
COMPARISON = METRICS / "comparison.json"
SIGNIFICANCE = METRICS / "significance.json"
RESULTS = Path("results.parquet")  # every number of every pair
PLOTS = Path("plots")
FIGURES = PLOTS / "figures"
COMPARISON_PLOTS = PLOTS / "comparison"
SIGNIFICANCE_PLOTS = PLOTS / "significance"
PAGE = Path("report/page.html")  # an output: equal results give equal bytes
INDEX = Path("report/index.html")  # the same with its commit, to look at and to send


def hand_over() -> None:
    """Tell the library, for the rest of this process, where it remembers hashes."""
    from earshift.storage import hashes

    hashes.remember_in(HASHES)


def corpus_audio(digest: str) -> Path:
    """Packed audio of the corpus whose clips have this :func:`earshift.storage.clips.corpus_digest`."""
    return AUDIO / "corpus" / f"{digest[:16]}.h5"


def kept_audio(perturbation: str, value: str, fingerprint: str) -> Path:
    """Packed audio of one value of a perturbation, where it is kept."""
    return AUDIO / perturbation / f"{value}-{fingerprint[:16]}.h5"


def training_audio(digest: str) -> Path:
    """Packed audio that networks are trained on, named by its content."""
    return TRAINING / f"{digest[:16]}.h5"


def training_clips(digest: str) -> Path:
    """Table of a corpus that networks are trained on and that is not the pipeline's own."""
    return TRAINING / f"{digest[:16]}.csv"


def training_features(digest: str) -> Path:
    """What a network reads of a corpus, computed once."""
    return TRAINING / f"{digest[:16]}.npy"


def model(encoder: str) -> Path:
    """Folder with the weights of an encoder, and the networks that were trained here."""
    return MODELS / encoder


def checkpoint(digest: str) -> Path:
    """Where a training keeps what it needs to go on after it was killed."""
    return CHECKPOINTS / f"{digest[:16]}.pt"


def perturbation_inputs(perturbation: str) -> Path:
    """What a perturbation reads that lies outside this repository, by its hash."""
    return PERTURBATION_INPUTS / f"{perturbation}.json"


def perturbed(perturbation: str) -> Path:
    """Folder with the recipes of one perturbation."""
    return PERTURBED / perturbation


def severity(perturbation: str) -> Path:
    """Table that says what each value of a perturbation did to the audio."""
    return perturbed(perturbation) / "severity.csv"


def training_inputs(encoder: str) -> Path:
    """How the networks of one encoder are trained, and on what that is not the corpus."""
    return TRAINING_INPUTS / f"{encoder}.json"


def code_inputs(stage: str) -> Path:
    """What the code of a stage is, by its hash."""
    return CODE_INPUTS / f"{stage}.json"


def encoder_inputs(name: str) -> Path:
    """What an encoder's code is, for those that lie outside this repository."""
    return ENCODER_INPUTS / f"{name}.json"


def weights(encoder: str) -> Path:
    """Folder with the checked weights of one encoder."""
    return MODELS / encoder


def originals(encoder: str) -> Path:
    """Embeddings of the unperturbed clips."""
    return EMBEDDINGS / encoder / "original.h5"


def embeddings(encoder: str, perturbation: str = "") -> Path:
    """Folder with one embedding file per value of a perturbation; without one, the folder of the encoder."""
    return EMBEDDINGS / encoder / perturbation


def distances(perturbation: str, value: str) -> Path:
    """Distances from the clips at one value of a perturbation to the originals."""
    return DISTANCES / perturbation / f"{value}.h5"


def profile(stage: str) -> Path:
    """What a stage took when it ran last."""
    return PROFILES / f"{stage}.json"


def stage_log(stage: str) -> Path:
    """How far a stage was, line by line."""
    return PROFILES / f"{stage}.log"


def original_distances() -> Path:
    """Distances between the unperturbed clips."""
    return DISTANCES / "original.h5"


def excerpts(perturbation: str) -> Path:
    """A few clips to listen to, as they are and under one perturbation."""
    return EXCERPTS / f"{perturbation}.json"


def metrics(analysis: str, encoder: str, perturbation: str) -> Path:
    """Numbers of one analysis of one encoder under one perturbation."""
    return METRICS / analysis / encoder / f"{perturbation}.json"


def plots(analysis: str, encoder: str, perturbation: str) -> Path:
    """Folder with the plot data of one analysis of one encoder under one perturbation."""
    return PLOTS / analysis / encoder / perturbation


def tsne(encoder: str) -> Path:
    """Map of originals and of the smallest values of every perturbation, by one encoder."""
    return PLOTS / "tsne" / f"{encoder}.csv"


# The side-by-side comparison with a published figure
PUBLISHED = METRICS / "published.json"
PUBLISHED_PLOTS = PLOTS / "published"
