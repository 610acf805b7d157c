"""The findings: which pairs, encoders and checks the sentences of templates/findings.html.j2 are about.

Conventions
-----------
A pair is (encoder, perturbation). Nothing is claimed that an interval or a null does not carry: a direction *holds*
where held-out R2 lies above the 95th percentile of its null, and *fully* where its whole interval does; a cost is one
whose interval lies above 0; a removal helps where its gain is significant after Holm's correction. Each function gives
None where its numbers do not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from earshift.report import kim2019, methods, verma2023
from earshift.report.figures import accuracy, subsets
from earshift.report.formats import Estimate, estimate
from earshift.report.page.content import Content
from earshift.report.results import Pair
from earshift.report.verdicts import VERDICTS, Check


class Extremes(NamedTuple):
    """The pairs with the smallest and the largest number."""

    least: Pair
    most: Pair


@dataclass(frozen=True)
class Direction:
    """Held-out R2 against its null: pairs that have it, that hold, that hold fully, that fail, that have no number; the
    best and the worst pair, and those whose intervals overlap with the best one's.
    """

    known: list[Pair]
    holding: list[Pair]
    fully: list[Pair]
    failing: list[Pair]
    missing: list[Pair]
    best: Pair | None
    worst: Pair | None
    overlapping: list[Pair]


@dataclass(frozen=True)
class Dimensions:
    """Effective rank: its extremes, and the pairs whose whole interval lies below the null."""

    least: Pair
    most: Pair
    below: list[Pair]


@dataclass(frozen=True)
class Neighbours:
    """Consistency between vectors: its extremes; pairs with intervals in both spaces, among them those with fewer and
    with more consistent clips than in the audio; and the extremes of the correlation of both spaces.
    """

    least: Pair
    most: Pair
    compared: list[Pair]
    fewer: list[Pair]
    more: list[Pair]
    correlation: Extremes | None


@dataclass(frozen=True)
class Tally:
    """How many checks have each verdict."""

    agrees: int
    disagrees: int
    undecided: int

    @property
    def total(self) -> int:
        """All checks."""
        return self.agrees + self.disagrees + self.undecided


@dataclass(frozen=True)
class Streams:
    """Subsets of streams: mAP of all four and of the best single one, chance, and two findings of the study."""

    whole: Estimate
    best: str
    single: Estimate
    chance: float
    features: Check
    order: Tally


@dataclass(frozen=True)
class Cost:
    """The pair that loses most, and pairs whose mean drop and whose worst drop surely lie above 0."""

    most: Pair
    mean: list[Pair]
    worst: list[Pair]


@dataclass(frozen=True)
class Ranking:
    """Encoders with a mean rank, the smallest loss first; the share of resamples in which the first one is first,
    whether its interval lies apart from the next one's, and ROC AUC on originals (empty where one has none).
    """

    encoders: list[str]
    overall: Mapping[str, Mapping[str, Any]]
    first: float | None
    settled: bool
    level: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """A restricted encoder beside another one: whether they are equally accurate (None without intervals), whether it
    surely loses less (None if that is undecided), and both differences.
    """

    one: str
    other: str
    equal: bool | None
    less_drop: bool | None
    accuracy: Estimate
    drop: Estimate


class Gain(NamedTuple):
    """What a method gains for a pair."""

    area: Estimate
    pair: Pair
    method: str


@dataclass(frozen=True)
class Removal:
    """Significant gains, the largest first, and their pairs; gains of the ceiling with their whole interval (None where
    it was not asked for); and the level of significance.
    """

    gains: list[Gain]
    pairs: list[Pair]
    ceiling: list[Gain] | None
    alpha: float


@dataclass(frozen=True)
class Findings:
    """All findings; `problem` says why there are no classifiers."""

    distance: Extremes | None
    direction: Direction
    dimensions: Dimensions | None
    neighbours: Neighbours | None
    mfcc: dict[str, list[Check]]
    kim2019: Tally
    verma2023: Tally
    streams: Streams | None
    problem: str
    cost: Cost | None
    ranking: Ranking | None
    restricted: list[Comparison]
    removal: Removal | None


def find(g: Content) -> Findings:
    """All findings of a page's content."""
    classified = g.has_classifiers
    return Findings(
        distance=distance(g),
        direction=direction(g),
        dimensions=dimensions(g),
        neighbours=neighbours(g),
        mfcc=by_verdict(kim2019.of_mfcc(g.checks)),
        kim2019=tally(g.checks),
        verma2023=tally(g.streams),
        streams=streams(g),
        problem="" if classified else _problem(g),
        cost=cost(g) if classified else None,
        ranking=ranking(g) if classified else None,
        restricted=restricted(g) if classified else [],
        removal=removal(g) if classified else None,
    )


def distance(g: Content) -> Extremes | None:
    """Where embeddings end up nearest to and farthest from their originals."""
    return _extremes({pair: far for pair in g.pairs if (far := g.farthest(*pair)[1]) is not None})


def direction(g: Content) -> Direction:
    """Whether one direction holds for unseen recordings."""
    heldout = g.having("heldout_r2")
    above = {end: _above_null(g, f"heldout_r2{end}") for end in ("", "_low")}
    ends = _extremes(heldout)
    holding = [pair for pair in heldout if above[""][pair]]
    low = g.having("heldout_r2_low").get(ends.most) if ends else None
    high = g.having("heldout_r2_high")
    return Direction(
        known=list(heldout),
        holding=holding,
        fully=[pair for pair in holding if above["_low"].get(pair)],
        failing=[pair for pair in heldout if above[""][pair] is False],
        missing=[pair for pair in g.pairs if pair not in heldout],
        best=ends and ends.most,
        worst=ends and ends.least,
        overlapping=[pair for pair, number in heldout.items()
                     if ends and pair != ends.most and low is not None and high.get(pair, number) >= low],
    )  # fmt: skip


def _above_null(g: Content, name: str) -> dict[Pair, bool | None]:
    """Whether a number lies above the 95th percentile of its null; None where there is no null."""
    nulls = g.having("null_r2_p95")
    return {pair: number > nulls[pair] if pair in nulls else None for pair, number in g.having(name).items()}


def dimensions(g: Content) -> Dimensions | None:
    """In how many dimensions clips move."""
    ends = _extremes(g.having("effective_rank"))
    highs, nulls = g.having("effective_rank_high"), g.having("null_effective_rank")
    inf = float("inf")
    below = [pair for pair in g.having("effective_rank") if highs.get(pair, inf) < nulls.get(pair, -inf)]
    return Dimensions(*ends, below) if ends else None


def neighbours(g: Content) -> Neighbours | None:
    """Whether clips stay nearest to their own original."""
    overall: dict[Pair, Mapping[str, Any]] = {pair: of["overall"] for pair, of in g.results.consistency.items()}
    audio, vectors = (f"within_{name}" for name in (g.audio_distance, g.latent_distance))
    rho = f"between_spearman_{g.audio_distance}_{g.latent_distance}"
    ends = _extremes({pair: of[vectors] for pair, of in overall.items() if of[vectors] is not None})
    if ends is None:
        return None
    alike = {pair: of[rho] for pair, of in overall.items() if of[rho] is not None}
    needed = (vectors, f"{audio}_low", f"{vectors}_low")
    compared = [pair for pair, of in overall.items() if None not in [of[name] for name in needed]]
    return Neighbours(
        *ends,
        compared=compared,
        fewer=[pair for pair in compared if overall[pair][f"{vectors}_high"] < overall[pair][f"{audio}_low"]],
        more=[pair for pair in compared if overall[pair][f"{vectors}_low"] > overall[pair][f"{audio}_high"]],
        correlation=_extremes(alike) if len(alike) > 1 else None,
    )


def by_verdict(checks: list[Check]) -> dict[str, list[Check]]:
    """Checks that agree, that disagree, and that are undecided."""
    found = ([check for check in checks if check.verdict == verdict] for verdict in VERDICTS)
    return dict(zip(("agrees", "disagrees", "undecided"), found, strict=True))


def tally(checks: list[Check]) -> Tally:
    """How many checks have each verdict."""
    return Tally(*(len(of) for of in by_verdict(checks).values()))


def streams(g: Content) -> Streams | None:
    """What a linear model makes of subsets of streams; None where the combination was not run."""
    if not g.subsets:
        return None
    rows = {row["subset"]: row for row in g.subsets}
    best = max((row for row in g.subsets if row["streams"] == 1), key=lambda row: row["map"])["subset"]
    return Streams(
        whole=estimate(rows[subsets.ALL], "map"),
        best=best,
        single=estimate(rows[best], "map"),
        chance=g.subsets[0]["chance_map"],
        features=verma2023.of_features(g.streams),
        order=tally(verma2023.of_order(g.streams)),
    )


def _problem(g: Content) -> str:
    """Why there are no classifiers."""
    if not any(g.clips["label"]) and not any(g.clips["tags"]):
        return "the corpus has no labels"
    none = g.results.robustness[g.pairs[0]]["methods"].get("none")
    return (none["problem"] if none else "") or "none could be trained"


def cost(g: Content) -> Cost | None:
    """What the movement costs classifiers that were trained on originals."""
    ends = _extremes(g.having("mean_drop"))
    sure = ([pair for pair, low in g.having(f"{name}_drop_low").items() if low > 0] for name in ("mean", "worst"))
    return Cost(ends.most, *sure) if ends else None


def ranking(g: Content) -> Ranking | None:
    """Which encoder loses least for the same severity; None where fewer than two have a rank."""
    encoders, overall = g.with_rank("overall"), g.severity_lines["overall"]
    if len(encoders) < 2:
        return None
    one, other = (estimate(overall[encoder], "rank") for encoder in encoders[:2])
    known_auc = g.having("roc_auc")
    level = {e: next((known_auc[e, p] for p in g.perturbations if (e, p) in known_auc), None) for e in encoders}
    return Ranking(
        encoders=encoders,
        overall=overall,
        first=overall[encoders[0]].get("first"),
        settled=one.high is not None and other.low is not None and one.high < other.low,
        level={e: auc for e, auc in level.items() if auc is not None} if None not in level.values() else {},
    )


def restricted(g: Content) -> list[Comparison]:
    """Whether a restricted representation is more robust at equal accuracy, as far as intervals say."""
    found = []
    for one, other, of in accuracy.compared(g.results.comparison):
        drop = estimate(of, "mean_drop")
        undecided = drop.number is None or drop.low is None or drop.high is None or drop.low <= 0 <= drop.high
        found.append(Comparison(
            one=one, other=other, equal=accuracy.equally_accurate(g.results.comparison, one, other, of),
            less_drop=None if undecided else (drop.number or 0) < 0, accuracy=estimate(of, "roc_auc"), drop=drop,
        ))  # fmt: skip
    return found


def removal(g: Content) -> Removal | None:
    """Whether removing directions gains ROC AUC; None where nothing could be tested."""
    alpha = 1 - g.study.robustness.confidence
    gains, ceiling, tested = [], [], False
    for pair in g.pairs:
        for name, of in g.results.robustness[pair]["methods"].items():
            forward = methods.direction(of, "forward")
            area, p = estimate(forward, "area"), estimate(forward, "p_holm").number
            if name == methods.CEILING:
                ceiling += [Gain(area, pair, name)] if (area.low or 0) > 0 else []
                continue
            tested |= p is not None
            gains += [Gain(area, pair, name)] if p is not None and p < alpha and (area.number or 0) > 0 else []
    return Removal(
        gains=sorted(gains, key=_largest, reverse=True),
        pairs=[pair for pair in g.pairs if any(gain.pair == pair for gain in gains)],
        ceiling=sorted(ceiling, key=_largest, reverse=True) if methods.CEILING in g.methods else None,
        alpha=alpha,
    ) if tested else None  # fmt: skip


def _extremes(numbers: Mapping[Pair, float]) -> Extremes | None:
    return Extremes(min(numbers, key=numbers.__getitem__), max(numbers, key=numbers.__getitem__)) if numbers else None


def _largest(gain: Gain) -> tuple[float, Pair, str]:
    return gain.area.number or 0.0, gain.pair, gain.method
