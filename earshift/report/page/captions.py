"""What the report page says about each picture: a title, one sentence on how to read it, and a text in its stead.

Conventions
-----------
Pictures are named as in plots/figures. The text for those who do not see a picture says what is drawn and gives the
numbers that it is drawn for, pair by pair, as far as the tables of the page do not. Plain text, to be escaped.
"""

from dataclasses import dataclass

from earshift.report import methods
from earshift.report.figures import accuracy, consistency, panels, performance, ranking, significance, subsets
from earshift.report.page import text as wording
from earshift.report.page.text import auc, r2, rank

ABOUT_ENCODER = ("roc_auc", "beyond")  # pictures of one encoder are named roc_auc_ENCODER and beyond_ENCODER
ORDER = ("headline", "cca_scatter", "samplewise_r2", "svd_spectra", "paths", "pca_maps", "umap_maps", "consistency",
         "minimum_magnitudes", "tsne", "originals_correlation", "marginal_means", "performance", "ranking",
         "robustness_accuracy", "subsets", "roc_auc_instrument", "gains", "severity")  # fmt: skip


@dataclass(frozen=True)
class Caption:
    """What stands around a picture, and in its stead."""

    title: str
    reading: str
    alt: str


def encoder_of(name, encoders):
    """The encoder whose own picture this is, or None."""
    if name in ORDER:
        return None
    return next((e for e in encoders for kind in ABOUT_ENCODER if name == f"{kind}_{e}"), None)


def caption(name, g):
    """The caption of one picture.

    Parameters
    ----------
    name : str
    g : earshift.report.page.content.Gathered

    Returns
    -------
    Caption
        A picture that this module does not know gets one made from its name.
    """
    encoder = encoder_of(name, g.encoders)
    if encoder is not None:
        kind = name.removesuffix(f"_{encoder}")
        title, reading = _OF_ENCODER[kind]
        return Caption(f"{encoder}: {title}", reading, _drops(g, encoder))
    if name not in _TEXTS:
        title = name.replace("_", " ")
        return Caption(title, "A picture that was added without a text of its own.", f"Picture: {title}.")
    title, reading, alt = _TEXTS[name]
    return Caption(title, reading, alt(g))


# -------------------------------------------------------------------------------------------------- in words, by number


def _by_perturbation(g, how):
    """ "gain: mfcc 0.09, musicnn 0.97; lowpass: ..." from a function of (encoder, perturbation)."""
    return "; ".join(f"{p}: " + ", ".join(f"{e} {how(e, p)}" for e in g.encoders) for p in g.perturbations)


def _number(name, how):
    return lambda g: _by_perturbation(g, lambda e, p: how(g.numbers[e][p].get(name)))


def _panels(what, name, how):
    """Alt text of a grid of panels: what is drawn, and one number of every panel."""

    def text(g):
        numbers = _number(name, how)(g)
        return f"{len(g.pairs)} panels, perturbations down, encoders across: {what}: {numbers}."

    return text


def _instrument(g):
    """What the pictures of one instrument show: the one that params.yaml names, or the corpus' first."""
    wanted, present = g.content["figures"]["instrument"], list(g.metrics["trajectories"][g.pairs[0]]["instruments"])
    name = wanted if wanted in present or not present else present[0]
    return "all" if name == panels.OVERALL else name


def _drops(g, encoder):
    lines = []
    for p in g.perturbations:
        n = g.numbers[encoder][p]
        at = f" at {wording.with_unit(n['worst_value'], g.unit(p))}" if "worst_value" in n else ""
        lines.append(f"{p}: {auc(n.get('roc_auc'))} on originals, worst drop {auc(n.get('worst_drop'))}{at}")
    return (f"Curves of ROC AUC of {encoder} along every grid, one row a perturbation, one colour a method, trained on "
            f"originals and the other way round. With nothing removed, {'; '.join(lines)}.")  # fmt: skip


def _of_instrument(g):
    return (f"Curves of ROC AUC for telling {_instrument(g)} from the rest, one row an encoder "
            f"({', '.join(g.encoders)}) under the perturbation that costs it most, one colour a method.")  # fmt: skip


def _distances(g):
    def farthest(encoder, perturbation):
        value, distance = g.farthest(encoder, perturbation)
        return wording.MISSING if value is None else f"{r2(distance)} at {wording.value(value)}"

    return ("Lines of distance from the original, above, and of turning angles, below, along every grid, one colour an "
            f"encoder. Farthest: {_by_perturbation(g, farthest)}.")  # fmt: skip


def _maps(kind):
    def text(g):
        turns = _number("turning_angle", lambda number: f"{wording.fixed(number, 0)}°")(g)
        return (f"{len(g.pairs)} {kind} maps of a few {_instrument(g)} clips, perturbations down, encoders across; "
                f"colour is strength. Mean turning angle over all instruments: {turns}.")  # fmt: skip

    return text


def _ranks(g):
    measure = g.comparison["measures"][g.comparison["severity"]]
    orders = []
    for place, lines in measure.items():
        ranked = sorted((e for e in lines if lines[e]["rank"] is not None), key=lambda e: lines[e]["rank"])
        orders.append(f"{place}: {', '.join(ranked) or 'none has numbers'}")
    return (f"Slopes of ROC AUC lost per unit of {ranking.MEASURES[g.comparison['severity']][0]} with intervals, above "
            f"the drops that they rest on. Least first, {'; '.join(orders)}.")  # fmt: skip


def _accuracy(g):
    overall = g.comparison["accuracy"]["perturbations"][accuracy.OVERALL]
    points = [f"{e} {auc(of['roc_auc'])} and {auc(of['mean_drop'])}" for e, of in overall.items()
              if accuracy.placed(of)]  # fmt: skip
    return ("Points with intervals both ways, mean drop of ROC AUC over ROC AUC of originals, one colour an encoder, "
            "squares interpretable ones; large the mean over perturbations, small each of them. Of the mean, "
            f"{'; '.join(points) or 'nothing'}.")  # fmt: skip


def _subsets(g):
    shown = ", ".join(f"{subsets.title(row['subset'])} {r2(row['map'])}" for _, row in g.subsets.iterrows())
    return (
        "Points of mAP and of top-5 accuracy with intervals, one row a subset of streams, best first, single "
        f"streams and all four in colour. mAP: {shown}; chance {r2(g.subsets['chance_map'].iloc[0])}."
    )


def _neighbours(g):
    first = g.encoders[0]
    a, z = consistency.chosen(g.metrics["consistency"][g.pairs[0]], "dtw", "euclidean")
    audio = "; ".join(f"{p} {r2(g.numbers[first][p].get(f'within_{a}'))}" for p in g.perturbations)
    vectors = _number(f"within_{z}", r2)(g)
    return ("Lines of the share of clips that are nearest to their own original, in the audio and between vectors, of "
            "agreement and of correlation, one row a perturbation, one colour an encoder. Means over the values: "
            f"audio, {consistency.NAMES[a]}: {audio}; vectors, {consistency.NAMES[z]}: {vectors}.")  # fmt: skip


def _smallest(g):
    _, z = consistency.chosen(g.metrics["consistency"][g.pairs[0]], "dtw", "euclidean")

    def ends(encoder, perturbation):
        sides = g.metrics["consistency"][encoder, perturbation]["sides"].values()
        return " and ".join(consistency.fall(side, z) for side in sides)

    return ("Points of consistency at the smallest value of every side of a grid with intervals, and, below, the first "
            "value at which a distance falls below the threshold. Between vectors that is, "
            f"{_by_perturbation(g, ends)}.")  # fmt: skip


def _originals(g):
    p = g.perturbations[0]
    a, z = consistency.chosen(g.metrics["consistency"][g.pairs[0]], "dtw", "euclidean")
    of = {e: g.metrics["consistency"][e, p]["originals"][f"originals_spearman_{a}_{z}"] for e in g.encoders}
    shown = ", ".join(f"{e} {r2(number)}" for e, number in of.items())
    return ("Points of Spearman's correlation between distances of originals in the audio and between vectors with "
            "intervals, one colour an encoder, one mark a pair of distances. "
            f"{consistency.NAMES[a]} with {consistency.NAMES[z]}: {shown}.")  # fmt: skip


def _tsne(g):
    _, z = consistency.chosen(g.metrics["consistency"][g.pairs[0]], "dtw", "euclidean")

    def kept(encoder, perturbation):
        sides = g.metrics["consistency"][encoder, perturbation]["sides"].values()
        return " and ".join(r2(side["at_smallest"][z]) for side in sides)

    return (f"{wording.counted(len(g.encoders), 'map')} of clips as they are, in grey, with lines to the same clips at "
            "the smallest value of every side of a grid, one colour a perturbation. Share of clips that are nearest to "
            f"their own original there: {_by_perturbation(g, kept)}.")  # fmt: skip


def _marginal_means(g):
    lines = {}  # of the first model of each kind
    for name, model in g.models.items():
        means = model["means"].get("encoder") or {}
        if means:
            shown = ", ".join(f"{level} {r2(of['mean'])}" for level, of in means.items())
            words = significance.named(name)
            lines.setdefault(words.partition(",")[0], f"{words}: {shown}")
    return ("Points with intervals, encoders left, perturbations right, one row a kind of measure, one mark a pair of "
            f"distances. Means of the encoders: {'; '.join(lines.values()) or 'none'}.")  # fmt: skip


def _performance(g):
    first, lines = g.perturbations[0], []
    for task in performance.ordered({task for of in g.metrics["performance"].values() for task in of["tasks"]}):
        of = {e: g.metrics["performance"][e, first]["tasks"].get(task) for e in g.encoders}
        shown = ", ".join(f"{e} {r2(n['original'])}" for e, n in of.items() if n)
        lines.append(f"{performance.TASKS.get(task, task)}: {shown}")
    return ("Lines of performance along every grid, one row a task, one colour an encoder, dashed what it is on "
            f"originals and dotted the trivial answer. On originals, {'; '.join(lines)}.")  # fmt: skip


def _gains(g):
    def best(encoder, perturbation):
        n = g.numbers[encoder][perturbation]
        if "best_method" not in n:
            return wording.MISSING
        return f"{methods.short(n['best_method'])} {auc(n['best_area'], sign=True)}"

    return ("Points with intervals: ROC AUC that each method gains, one column a perturbation, one colour an encoder, "
            f"filled where significant. Best removal: {_by_perturbation(g, best)}.")  # fmt: skip


def _severity(g):
    def ends(perturbation):
        values = [of["lsd_db"] for of in g.severity[perturbation].values()]
        return f"{perturbation} from {wording.fixed(values[0], 1)} to {wording.fixed(values[-1], 1)} dB"

    spans = ", ".join(map(ends, g.perturbations))
    return ("Lines of signal-to-noise ratio, loudness difference and log-spectral distance over the values of every "
            f"perturbation. Log-spectral distance from the weakest to the strongest: {spans}.")  # fmt: skip


_OF_ENCODER = {
    "roc_auc": (
        "what removing directions does to classification",
        "The thickest line is nothing removed, in grey its interval; a coloured line above it helps, one below it "
        "harms, and where all end low the information is lost to a linear classifier.",
    ),
    "beyond": (
        "the methods that the first study's figure does not show",
        "Read as above: dotted is trained and tested at the same value, augmentation is trained on all values; where "
        "neither rises above the thickest line, no linear method can be expected to.",
    ),
}
_TEXTS = {
    "headline": (
        "How far unseen recordings follow one direction",
        "A point well above its grey bar, with its whole line, means that recordings on which the direction was not "
        "fitted move along it as strength grows; 1 would be perfect order.",
        lambda g: (
            f"Points of held-out R² with intervals over grey bars of the null, by perturbation. "
            f"{_number('heldout_r2', r2)(g)}."
        ),
    ),
    "cca_scatter": (
        "Clips along the published direction",
        "Light points are the clips that the direction was fitted on, dark ones are unseen: where only the light ones "
        "rise or fall in order, the direction is one of the training clips and not of the perturbation.",
        lambda g: _panels(
            f"points of {_instrument(g)} clips over the values. Held-out R² of the pair", "heldout_r2", r2
        )(g),
    ),
    "samplewise_r2": (
        "One direction for each clip, in-sample and held out",
        "Grey is the published in-sample value, 1 by construction where values are fewer than dimensions; colour is "
        "what values left out of the fit say, and only what lies to the right is order.",
        _panels("histograms over clips. Held-out R² overall", "samplewise_heldout_r2", r2),
    ),
    "svd_spectra": (
        "How many directions the clips need together",
        "The faster the coloured line falls, the fewer directions serve all clips; where it runs along the dashed one, "
        "they have no more in common than with shuffled strengths.",
        _panels(
            "singular values on a logarithmic scale, against shuffled strengths and centred originals. Effective rank",
            "effective_rank",
            rank,
        ),
    ),
    "paths": (
        "How far clips move, and how their paths turn",
        "Above, 1 is the distance between two clips as they are; below, 0 degrees is a straight line and what lies "
        "near 90 wanders.",
        _distances,
    ),
    "pca_maps": (
        "Paths of a few clips, projected",
        "Follow a thin line from light to dark to see one clip move as strength grows; per cent on the axes say how "
        "much of the movement the picture shows at all.",
        _maps("PCA"),
    ),
    "umap_maps": (
        "Paths of a few clips on UMAP maps",
        "Only who lies next to whom means something here; distances, gaps and directions do not, and every panel is a "
        "map of its own.",
        _maps("UMAP"),
    ),
    "consistency": (
        "Whether clips stay nearest to their own original",
        "Left the share of clips that are nearer to their own original than to any other, in the audio and between "
        "vectors; then how often the two agree about a clip, which is also high where both are always wrong, and how "
        "far all their distances have one order.",
        _neighbours,
    ),
    "minimum_magnitudes": (
        "The smallest deformations, and where neighbours are lost",
        "Above, what lies below the dashed line loses clips at the smallest value of a grid already; below, the higher "
        "a mark, the longer neighbours are kept.",
        _smallest,
    ),
    "tsne": (
        "The smallest deformations on a map",
        "A short line, or none that can be seen, is a clip that stays beside its own original; how far apart clips lie "
        "on such a map says nothing.",
        _tsne,
    ),
    "marginal_means": (
        "What is left of each encoder and each perturbation",
        "Every point is the mean of an encoder over all perturbations, or of a perturbation over all encoders, as a "
        "model of all values says; what lies apart with its whole line differs in these data.",
        _marginal_means,
    ),
    "performance": (
        "How well networks do what they were trained for",
        "Where a line leaves its dashed one the deformation costs the task, and where it meets the dotted one nothing "
        "is left that the trivial answer does not have.",
        _performance,
    ),
    "originals_correlation": (
        "Distances between originals, in the audio and between vectors",
        "At 1 an encoder puts the originals in the same order of distances as the audio, at 0 the two have nothing in "
        "common; nothing is deformed here.",
        _originals,
    ),
    "ranking": (
        "Which encoder loses least for what is done to the audio",
        "Further left is better, and encoders whose lines overlap cannot be told apart on these recordings; the "
        "percentages say how often each comes first when recordings are resampled.",
        _ranks,
    ),
    "robustness_accuracy": (
        "What perturbations cost, against how good an encoder is to begin with",
        "Further right is more accurate on originals, further down is more robust; only encoders whose lines overlap "
        "from left to right can be compared from top to bottom, since who tells little apart has little to lose.",
        _accuracy,
    ),
    "subsets": (
        "What a linear model makes of every subset of streams",
        "A subset right of the grey band with its whole line is better than the best single stream; what overlaps "
        "cannot be told apart on these recordings, and hollow marks are the study's numbers on another corpus.",
        _subsets,
    ),
    "roc_auc_instrument": (
        "One instrument, and what costs each encoder most",
        "The thickest line is nothing removed; with few test clips of one instrument a step of the curve can be a "
        "single clip.",
        _of_instrument,
    ),
    "gains": (
        "What removing directions gains",
        "Right of the line a method helps, left of it it harms; only filled markers are significant, and a line that "
        "crosses 0 is no gain that these recordings can show.",
        _gains,
    ),
    "severity": (
        "What each value did to the audio",
        "Three measures that all perturbations share, so that steps of different kinds can be compared: less SNR, more "
        "difference in loudness and more log-spectral distance mean a stronger deformation.",
        _severity,
    ),
}
