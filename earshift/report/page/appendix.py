"""The methods appendix: what was really run, from parameters and files, with its definitions and sources.

Conventions
-----------
Only what took part is described. What the numbers of an analysis mean stands in templates/methods.html.j2; the docs of
the repository say more. A source is listed where something names it. Plain text, to be escaped.

- :func:`corpus`, :func:`perturbations`, :func:`chain`, :func:`encoders`: what was run
- :func:`parameters`, :func:`removals`: how the analyses ran
- :func:`notes`: what they themselves warn of
- :func:`references`: the sources of all that
"""

import inspect
import json
from collections import Counter

from earshift import plugins as scan
from earshift.corpora.base import TAG_SEPARATOR
from earshift.report import methods, results
from earshift.report.page import findings as answers
from earshift.report.page import text as wording
from earshift.report.page.sources import FILES
from earshift.report.page.tables import Cell, Table

_REFERENCES = {
    "study": "V. Deng, C. Wang, G. Richard, B. McFee: Investigating the Sensitivity of Pre-trained Audio Embeddings to "
    "Common Effects. ICASSP 2025.",
    "rank": "O. Roy, M. Vetterli: The effective rank: a measure of effective dimensionality. EUSIPCO 2007.",
    "umap": "L. McInnes, J. Healy, J. Melville: UMAP: uniform manifold approximation and projection for dimension "
    "reduction. 2018.",
    "holm": "S. Holm: A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics, "
    "1979.",
    "shrinkage": "O. Ledoit, M. Wolf: A well-conditioned estimator for large-dimensional covariance matrices. Journal "
    "of Multivariate Analysis, 2004.",
    "leace": "N. Belrose et al.: LEACE: perfect linear concept erasure in closed form. NeurIPS 2023.",
    "consistency": "J. Kim, J. Urbano, C. C. S. Liem, A. Hanjalic: Are nearby neighbors relatives? Testing deep music "
    "embeddings. Frontiers in Applied Mathematics and Statistics, 2019.",
    "simple": "D. F. Silva, C.-C. M. Yeh, Y. Zhu, G. Batista, E. Keogh: Fast similarity matrix profile for music "
    "analysis and exploration. IEEE Transactions on Multimedia, 2019.",
    "diverse": "P. Verma: Diverse audio embeddings: bringing features back outperforms CLAP! arXiv 2309.08751, 2023.",
    "tsne": "L. van der Maaten, G. Hinton: Visualizing data using t-SNE. Journal of Machine Learning Research, 2008.",
    "loudness": "ITU-R BS.1770: Algorithms to measure audio programme loudness and true-peak audio level.",
    "irmas": "J. J. Bosch et al.: A comparison of sound segregation techniques for predominant instrument recognition "
    "in musical audio signals. ISMIR 2012 (IRMAS).",
    "musicnn": "J. Pons, X. Serra: musicnn: pre-trained convolutional neural networks for music audio tagging. 2019.",
    "yamnet": "M. Plakal, D. Ellis: YAMNet, trained on AudioSet. 2020.",
    "openl3": "J. Cramer, H.-H. Wu, J. Salamon, J. P. Bello: Look, listen, and learn more: design choices for deep "
    "audio embeddings. ICASSP 2019.",
    "panns": "Q. Kong et al.: PANNs: large-scale pretrained audio neural networks for audio pattern recognition. "
    "IEEE/ACM TASLP, 2020.",
    "clap": "B. Elizalde, S. Deshmukh, H. Wang: Natural language supervision for general-purpose audio "
    "representations (CLAP 2023). ICASSP 2024.",
}
_HIDDEN = (*FILES, "weights")  # the latter is where a file lies, too; what it is stands among the sources
_SWITCHES = {
    "reverb_tail": ("a clip begins with the reverb tail of the one before it", "every clip starts from silence"),
    "wav_round_trip": ("16-bit files between effect and encoder, read and written on different scales",
                       "effected audio stays float32"),
    "clip": ("samples beyond full scale are cut", "samples beyond full scale are kept"),
}  # fmt: skip
_METHODS = {  # in a sentence, and the source
    "none": ("nothing", ""),
    "lda": ("the normal of the linear discriminant between originals and all perturbed vectors, covariances shrunk",
            "shrinkage"),
    "average_displacement": ("the line between the mean original and the mean perturbed vector", ""),
    "pca": ("the first principal component of the displacements", ""),
    "pca_normalised": ("the component of the displacements whose variance is largest next to that of the originals' "
                       "component of the same number", ""),
    "cca": ("the global CCA direction", ""),
    "samplewise_cca_svd": ("the leading singular vectors of the stacked directions of the clips, while their singular "
                           "value is at least {threshold} of the first", ""),
    "leace": ("what a linear predictor of strength could read, by least-squares concept erasure, covariance shrunk",
              "leace"),
    "conditional_displacement": ("every value's mean displacement, for a clip whose value is known", ""),
    "augmentation": ("nothing, but the classifier is trained on originals and all values: a ceiling, no removal", ""),
}  # fmt: skip


def corpus(g):
    """What the clips are, as (name, text)."""
    clips, content = g.clips, g.content["corpus"]
    used = clips[clips.valid]
    by_label, split = Counter(used.label), Counter(used.split)
    rates, channels = sorted(set(used.sample_rate)), sorted(set(used.channels))
    lines = [
        ("corpus", content["name"]),
        ("clips", f"{len(used):,} in {wording.counted(used.group.nunique(), 'group')} (recordings; none straddles the "
                  f"split), {used.seconds.sum():,.0f}{wording.GLUE}s, {_span(used.seconds.min(), used.seconds.max())} "
                  "s each"),
        ("audio", f"{wording.listed(f'{rate:,}' for rate in rates)} Hz, {wording.listed(map(str, channels))} "
                  f"channel{'s' if channels != [1] else ''}"),
    ]  # fmt: skip
    if len(used) < len(clips):
        lines.append(("left out", f"{wording.counted(len(clips) - len(used), 'clip')} that cannot be used, invalid "
                      "throughout"))  # fmt: skip
    labelled = bool(set(by_label) - {""})
    learned = used.tags[used.split == "train"]  # those that classes are chosen by
    tags = Counter(tag for text in learned for tag in text.split(TAG_SEPARATOR) if tag)
    if labelled:
        counts = wording.listed(f"{label or 'without a label'} ({n:,})" for label, n in sorted(by_label.items()))
        lines.append(("labels", counts))
    elif tags:
        common = sorted(tags.items(), key=lambda of: (-of[1], of[0]))
        shown = wording.listed(f"{tag} ({n:,})" for tag, n in common[: g.content["classes"]["tags"]])
        lines.append(("tags", f"no labels, but {len(tags):,} tags in the training clips, several to a clip; told apart "
                      f"are {shown}"))  # fmt: skip
    else:
        lines.append(("labels", "none: analyses speak of all clips together, and there are no classifiers"))
    how = content["split"]
    balance = ", each label balanced to the rarest" if labelled and how["balance"] else ""
    lines.append(("split", f"{wording.listed(f'{n:,} {name}' for name, n in sorted(split.items()))}; one of "
                  f"{how['folds']} folds is the test set unless the corpus has a split of its own, seed {how['seed']}"
                  f"{balance}"))  # fmt: skip
    options = content.get(content["name"]) or {}
    shown = {name: value for name, value in options.items() if name not in _HIDDEN and value is not None}
    return lines + ([("options", _options(shown))] if shown else [])


def perturbations(g):
    """Table of the perturbations with their grids."""
    known, rows = scan.plugins("perturbations"), []
    for name in g.perturbations:
        options = {k: v for k, v in (g.content["perturbations"].get(name) or {}).items() if k != "grid"}
        neutral = getattr(known.get(name), "neutral", None)
        rows.append((name, [
            Cell(_first_sentence(known[name]) if name in known else wording.MISSING),
            Cell(", ".join(map(wording.value, g.values(name)))),
            Cell(g.unit(name) or "none"),
            Cell("none" if neutral is None else wording.value(neutral)),
            Cell(_options(options) or "none"),
        ]))  # fmt: skip
    columns = [Cell("what it does"), Cell("grid, by strength"), Cell("unit"), Cell("without effect"), Cell("options")]
    return Table("perturbations-run", "The perturbations that were run", "perturbation", columns, [("", rows)])


def chain(g):
    """Fidelity and what its switches are, as (name, text)."""
    section, fidelity = g.content["perturb"], g.content["fidelity"]
    lines = [("fidelity", {"paper": "paper: published behaviour, its accidents included",
                           "corrected": "corrected: the published accidents are off"}[fidelity])]  # fmt: skip
    for name, (on, off) in _SWITCHES.items():
        set_to = section.get(name)
        active = fidelity == "paper" if set_to is None else set_to
        by_hand = "" if set_to is None else " (set by hand)"
        lines.append((name, f"{'on' if active else 'off'}{by_hand}: {on if active else off}"))
    return lines


def encoders(g):
    """Table of the encoders."""
    known, rows = scan.plugins("encoders"), []
    for name in g.encoders:
        section, about = g.content["encoders"].get(name) or {}, g.about[name]
        options = {k: v for k, v in section.items() if k not in _HIDDEN and v is not None}
        cls = None if "class" in section else known.get(name)
        rows.append((name, [
            Cell(_first_sentence(cls) if cls else "An encoder from outside this repository."),
            Cell(f"{about['dim']:,}"),
            Cell(f"{about['sample_rate']:,}", "Hz"),
            Cell(f"{cls.window:.3g}" if cls and cls.window else wording.MISSING, "s" if cls and cls.window else ""),
            Cell(_options(options) or "none"),
        ]))  # fmt: skip
    columns = [Cell("what a vector is"), Cell("numbers"), Cell("sample rate"), Cell("shortest input"), Cell("options")]
    return Table("encoders-run", "The encoders that were run", "encoder", columns, [("", rows)])


def parameters(g):
    """Parameters that the analyses ran with, as {section: list of (name, text)}."""
    sections = {"perturb": ("severity_clips",), **dict.fromkeys(("comparison", "significance", "tsne"))}
    sections |= dict.fromkeys(results.ANALYSES)
    return {
        section: [
            (f"{section}.{name}", _text(value))
            for name, value in (g.content.get(section) or {}).items()
            if names is None or name in names
        ]
        for section, names in sections.items()
    }


def removals(g):
    """What each method of the run removes, as (name, text); nothing where there are no classifiers."""
    if not answers.has_roc_auc(g):
        return []
    threshold = g.content["robustness"].get("svd_threshold")
    several = threshold if isinstance(threshold, list) else [threshold]
    shown = wording.listed(f"{t:g}" for t in several if t is not None)
    return [(methods.METHODS[name][1], _METHODS[name][0].format(threshold=shown)) for name in _selected(g)]


def notes(g):
    """What the analyses warn of, as (whom it is said of, list of sentences)."""
    said = {}
    for analysis in g.metrics.values():
        for pair, numbers in analysis.items():
            for note in numbers.get("notes") or []:
                said.setdefault(note, set()).add(pair)
    grouped = {}
    for note, pairs in said.items():
        grouped.setdefault(_of_whom(g, pairs), []).append(note)
    if g.notes:
        grouped["models of consistency and performance"] = list(g.notes)
    return list(grouped.items())


def _of_whom(g, pairs):
    """Pairs in words, an encoder alone where all of its are among them."""
    if len(pairs) == len(g.pairs):
        return "all pairs"
    named = []
    for encoder in g.encoders:
        under = [p for p in g.perturbations if (encoder, p) in pairs]
        if under:
            named.append(encoder if len(under) == len(g.perturbations) else f"{encoder} under {wording.listed(under)}")
    return wording.listed(named)


def references(g):
    """The sources of what was run."""
    used = {"study", "rank", "umap", "consistency", "simple", "tsne", "loudness"} | (
        {"irmas"} & {g.content["corpus"]["name"]}
    )
    used |= {name for name in g.encoders if "class" not in (g.content["encoders"].get(name) or {})}
    if any(name.startswith("diverse_") for name in g.encoders):
        used.add("diverse")
    if answers.has_roc_auc(g):
        used |= {"holm", *(_METHODS[name][1] for name in _selected(g))}
    if g.content["corpus"]["name"] == "general_midi":
        used.add("irmas")  # whose form it takes
    return [text for name, text in _REFERENCES.items() if name in used]


# ---------------------------------------------------------------------------------------------------------- small parts


def _selected(g):
    """The methods of the run that this module can describe."""
    wanted = {"none", *g.content["robustness"].get("methods", ())}
    return [name for name in _METHODS if name in wanted]


def _options(options):
    return ", ".join(f"{name} {_text(value)}" for name, value in options.items())


def _text(value):
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _span(low, high):
    return f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"


def _first_sentence(cls):
    """The first paragraph of a class's docstring, without markup."""
    paragraph = (inspect.getdoc(cls) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "")
