"""What was asked, what was done, and what came out, in sentences made from the numbers.

Conventions
-----------
A pair is an encoder under a perturbation. Nothing is claimed that an interval or a null does not carry: a direction
*holds* where held-out R2 lies above the 95th percentile of its null, and *surely* where its whole interval does; a cost
is one whose interval lies above 0; a removal helps where its gain is significant after Holm's correction. Sentences
about numbers that are missing say so. Plain text, to be escaped.
"""

from dataclasses import dataclass

from earshift.corpora.base import TAG_SEPARATOR
from earshift.options import check as checked_options
from earshift.pipeline import config as params
from earshift.report import kim2019 as third_study
from earshift.report import methods
from earshift.report import verma2023 as second_study
from earshift.report.figures import accuracy, consistency, ranking, subsets
from earshift.report.page import text as wording
from earshift.report.page.text import auc, listed, r2, with_interval

QUESTION = "How far does an embedding move when the ear hardly notices?"


@dataclass(frozen=True)
class Finding:
    """One thing that came out: what it is about, the sentence that says it, and what belongs to it."""

    title: str
    text: str
    more: str = ""


def done(g):
    """What was done, in three sentences.

    Parameters
    ----------
    g : earshift.report.page.content.Gathered

    Returns
    -------
    list of str
    """
    used = g.clips[g.clips.valid]
    labels, tags = set(used.label) - {""}, {tag for text in used.tags for tag in text.split(TAG_SEPARATOR)} - {""}
    classes = wording.counted(len(labels or tags), "label" if labels else "tag") if labels or tags else "no labels"
    grids = listed(f"{p} ({len(g.values(p))} values, {_range(g, p)})" for p in g.perturbations)
    vectors = listed(
        f"{e} ({wording.counted(g.about[e]['dim'], 'number')} per clip)" if i == 0 else f"{e} ({g.about[e]['dim']:,})"
        for i, e in enumerate(g.encoders)
    )
    asked = ["whether one direction orders the strengths, also for recordings that it was not fitted on",
             "how many directions the clips need together", "how far their paths go and how straight",
             "whether clips stay nearest to their own original"]  # fmt: skip
    if has_roc_auc(g):
        asked += [f"what the movement costs a classifier of the {'labels' if labels else 'tags'}",
                  "whether taking it out helps"]  # fmt: skip
    return [
        f"{wording.counted(len(used), 'clip')} from {wording.counted(used.group.nunique(), 'recording')} of the corpus "
        f"{g.content['corpus']['name']} ({classes}) were "
        f"deformed in graded steps: {grids}.",
        f"Every version became a vector of each encoder, {vectors}, so that a clip leaves a path of vectors along "
        "every grid.",
        f"Of these paths it was asked {listed(asked)}.",
    ]


def findings(g):
    """What came out.

    Parameters
    ----------
    g : earshift.report.page.content.Gathered

    Returns
    -------
    list of Finding
    """
    made = [_distance(g), _direction(g), _dimensions(g), _neighbours(g), _third_study(g), _second_study(g), *_costs(g)]
    return [finding for finding in made if finding is not None]


def has_roc_auc(g):
    """Whether there are classifiers at all."""
    return any("roc_auc" in g.numbers[e][p] for e, p in g.pairs)


def holds(numbers):
    """Whether a direction holds for unseen recordings, and whether it does so surely; None where that is not known.

    Parameters
    ----------
    numbers : dict, headline numbers of one pair

    Returns
    -------
    bool or None, bool or None
    """
    null = numbers.get("null_r2_p95")
    above = [None if null is None or name not in numbers else numbers[name] > null
             for name in ("heldout_r2", "heldout_r2_low")]  # fmt: skip
    return above[0], above[1]


def _distance(g):
    far = {pair: g.farthest(*pair) for pair in g.pairs}
    far = {pair: found for pair, found in far.items() if found[0] is not None}
    if not far:
        return Finding("How far it moves", "There are no distances: there are too few original clips to compare with.")

    def place(pair):
        value, distance = far[pair]
        return f"{r2(distance)} ({_pair(pair)}, {wording.with_unit(value, g.unit(pair[1]))})"

    most, least = max(far, key=lambda pair: far[pair][1]), min(far, key=lambda pair: far[pair][1])
    ends = place(most) if most == least else f"between {place(least)} and {place(most)}"
    return Finding("How far it moves", "At the value that moves it most, an embedding ends up "
                   f"{ends} times as far from its original as two clips of the corpus lie apart.")  # fmt: skip


def _direction(g):
    known = {pair: g.numbers[pair[0]][pair[1]] for pair in g.pairs if "heldout_r2" in g.numbers[pair[0]][pair[1]]}
    title = "Along one direction?"
    if not known:
        return Finding(title, "There is no held-out R²: nothing moves, or there are no recordings to hold out.")
    holding = [pair for pair, n in known.items() if holds(n)[0]]
    sure = sum(bool(holds(known[pair])[1]) for pair in holding)
    part = "" if sure == len(holding) else f"in {sure or 'none'} of them "
    text = [f"Recordings that the direction was not fitted on follow it in {_of(holding, g.pairs)}: held-out R² lies "
            "above the 95th percentile of its null"
            + (f", {part}with its whole interval." if len(holding) > 1 else ".")]  # fmt: skip
    if len(known) > 1:
        best, worst = max(known, key=lambda p: known[p]["heldout_r2"]), min(known, key=lambda p: known[p]["heldout_r2"])
        low = known[best].get("heldout_r2_low")
        rivals = [pair for pair, n in known.items() if pair != best and low is not None
                  and n.get("heldout_r2_high", n["heldout_r2"]) >= low]  # fmt: skip
        text.append(f"Most of all {_pair(best)}, {_heldout(known[best])}"
                    + (f", though {_intervals(rivals)} with it" if rivals else "")
                    + f"; least {_pair(worst)}, {_heldout(known[worst])}.")  # fmt: skip
    else:
        (pair,) = known
        text.append(f"It is {_heldout(known[pair])} ({_pair(pair)}).")
    failing = [pair for pair, n in known.items() if holds(n)[0] is False]
    if failing:
        text.append(f"No better than shuffled strengths: {_some(failing)}.")
    if len(known) < len(g.pairs):
        text.append(f"Without a number: {_some([pair for pair in g.pairs if pair not in known])}.")
    return Finding(title, text[0], " ".join(text[1:]))


def _dimensions(g):
    known = {pair: g.numbers[pair[0]][pair[1]] for pair in g.pairs if "effective_rank" in g.numbers[pair[0]][pair[1]]}
    if not known:
        return None

    def place(pair):
        n = known[pair]
        count = g.metrics["svd"][pair]["overall"]["directions"]
        rank = with_interval(n["effective_rank"], n.get("effective_rank_low"), n.get("effective_rank_high"),
                             wording.rank)  # fmt: skip
        return f"{rank} of {count} ({_pair(pair)})"

    few, many = (choose(known, key=lambda pair: known[pair]["effective_rank"]) for choose in (min, max))
    span = f"{place(few)}" if few == many else f"from {place(few)} to {place(many)}"
    below = [pair for pair, n in known.items()
             if n.get("effective_rank_high", float("inf")) < n.get("null_effective_rank", float("-inf"))]  # fmt: skip
    elsewhere = "; elsewhere the directions have no more in common than those of shuffled strengths"
    return Finding(
        "In how many dimensions?",
        f"The clips' own directions have an effective rank {span}.",
        f"It lies below that of shuffled strengths, with its whole interval, in {_of(below, g.pairs)}"
        + ("." if len(below) == len(g.pairs) else f"{elsewhere}."),
    )


def _neighbours(g):
    a, z = consistency.chosen(g.metrics["consistency"][g.pairs[0]], "dtw", "euclidean")
    audio, vectors, rho = f"within_{a}", f"within_{z}", f"between_spearman_{a}_{z}"
    numbers = {pair: of["overall"] for pair, of in g.metrics["consistency"].items()}
    known = {pair: n for pair, n in numbers.items() if n[vectors] is not None}
    if not known:
        return None

    def share(pair):
        return f"{_ends(known[pair], vectors, wording.per_cent)} of the clips ({_pair(pair)})"

    least, most = (choose(known, key=lambda pair: known[pair][vectors]) for choose in (min, max))
    span = share(least) if least == most else f"from {share(least)} to {share(most)}"
    text = [f"Between vectors ({consistency.NAMES[z]}), {span} stay nearer to their own original than to any other, on "
            "average over the values."]  # fmt: skip
    compared = {pair: n for pair, n in known.items() if None not in (n[f"{audio}_low"], n[f"{vectors}_low"])}
    fewer = [pair for pair, n in compared.items() if n[f"{vectors}_high"] < n[f"{audio}_low"]]
    more = [pair for pair, n in compared.items() if n[f"{vectors}_low"] > n[f"{audio}_high"]]
    if compared:
        text.append(f"In the audio ({consistency.NAMES[a]}) more do so in {_of(fewer, g.pairs)} and fewer in "
                    f"{_of(more, g.pairs)}, with intervals apart.")  # fmt: skip
    alike = {pair: n for pair, n in numbers.items() if n[rho] is not None}
    if len(alike) > 1:
        low, high = (choose(alike, key=lambda pair: alike[pair][rho]) for choose in (min, max))
        text.append("Distances in the audio and between vectors have a Spearman correlation from "
                    f"{_ends(alike[low], rho, r2)} ({_pair(low)}) to {_ends(alike[high], rho, r2)} ({_pair(high)})."
                    )  # fmt: skip
    return Finding("Do neighbours stay neighbours?", text[0], " ".join(text[1:]))


def _third_study(g):
    """MFCC against the other encoders, and how much else agrees with the third study."""
    found = {verdict: [] for verdict in third_study.VERDICTS}
    for check in third_study.of_mfcc(g.checks):
        found[check.verdict].append(check)
    names = {verdict: listed(c.claim.removeprefix("MFCC above ") for c in of) for verdict, of in found.items()}
    said = []
    if found[third_study.AGREES]:
        said.append(f"it lies above that of {names[third_study.AGREES]}, as the third study found of its networks")
    if found[third_study.DISAGREES]:
        said.append(f"it lies below that of {names[third_study.DISAGREES]}, other than the study found")
    if found[third_study.OPEN]:
        why = listed(dict.fromkeys(c.why for c in found[third_study.OPEN]))
        said.append(f"beside {names[third_study.OPEN]} nothing can be told ({why})")
    text = ("The share of clips that MFCC leave nearest to their own original (Euclidean) was compared with that of "
            f"every other encoder: {'; '.join(said)}.")  # fmt: skip
    return Finding("Is it as the third study found?", text, third_study.summed(g.checks))


def _second_study(g):
    """Subsets of streams, or nothing where the combination was not run."""
    if g.subsets is None:
        return None
    rows, name = g.subsets.set_index("subset"), subsets.best_single(g.subsets)["subset"]
    whole, single = (_ends(rows.loc[of], "map", r2) for of in (subsets.ALL, name))
    text = (f"A linear model on all four streams has a mAP of {whole}, on the best alone, {subsets.title(name)}, "
            f"{single}; chance is {r2(g.subsets['chance_map'].iloc[0])}.")  # fmt: skip
    check = second_study.of_features(g.streams)
    said = {third_study.AGREES: "Pitch and timbre surely add to the two learned streams",
            third_study.DISAGREES: "Pitch and timbre surely take from the two learned streams",
            third_study.OPEN: "Whether pitch and timbre add to the two learned streams cannot be told"}  # fmt: skip
    more = f"{said[check.verdict]}: {', '.join(filter(None, (check.ours, check.why)))}."
    order = third_study.counts(second_study.of_order(g.streams))
    more += (
        f" Of the {sum(order.values())} steps of the study's order, {order[third_study.AGREES]} agree in top-5 "
        f"accuracy, {order[third_study.DISAGREES]} do not, and {order[third_study.OPEN]} cannot be told."
    )
    return Finding("Does bringing features back help?", text, more)


def _costs(g):
    """Findings on classifiers, or one that says why there are none."""
    if not has_roc_auc(g):
        none = g.metrics["robustness"][g.pairs[0]]["methods"].get("none") or {}
        why = none.get("problem") or "none could be trained"
        if not any(g.clips.label) and not any(g.clips.tags):
            why = "the corpus has no labels"
        return [Finding("What it costs", f"There are no classifiers here: {why}.")]
    return [_cost(g), _least(g), _restricted(g), _removal(g)]


def _cost(g):
    known = {pair: g.numbers[pair[0]][pair[1]] for pair in g.pairs if "mean_drop" in g.numbers[pair[0]][pair[1]]}
    if not known:
        return None
    most = max(known, key=lambda pair: known[pair]["mean_drop"])
    n = known[most]
    text = [f"Classifiers trained on originals lose most for {_pair(most)}: {_auc(n, 'mean_drop')} of a ROC AUC of "
            f"{auc(n.get('roc_auc'))}, on average over the grid"
            + (f", and {_auc(n, 'worst_drop')} at {wording.with_unit(n['worst_value'], g.unit(most[1]))}"
               if "worst_value" in n else "") + "."]  # fmt: skip
    paying = [pair for pair, of in known.items() if of.get("mean_drop_low", 0) > 0]
    text.append(f"The interval of the mean drop lies above 0 in {_of(paying, g.pairs)}"
                + (f" ({_some(paying)})" if 0 < len(paying) <= 4 else "")
                + ("" if len(paying) == len(g.pairs) else "; elsewhere these recordings show no cost over the grid")
                + ".")  # fmt: skip
    dear = [pair for pair, of in known.items() if of.get("worst_drop_low", 0) > 0]
    text.append(f"That of the drop at the worst value does in {_of(dear, g.pairs)}.")
    return Finding("What it costs", text[0], " ".join(text[1:]))


def _least(g):
    title = "Who loses least?"
    overall = g.comparison["measures"][g.comparison["severity"]]["overall"]
    ranked = sorted((e for e in overall if overall[e]["rank"] is not None), key=lambda e: overall[e]["rank"])
    if len(ranked) < 2:
        return None
    first, second = ranked[:2]
    others = listed(f"{e} ({_ranks(overall[e])})" for e in ranked[1:])
    text = [f"Per unit of {ranking.MEASURES[g.comparison['severity']][0]}, {first} loses least: its mean rank over the "
            f"perturbations is {_ranks(overall[first])}, before {others}."]  # fmt: skip
    share = overall[first].get("first")
    if share is not None:
        open_ = _overlap(overall[first], overall[second])
        text.append(f"Over resampled recordings it comes first in {wording.per_cent(share)} of the draws"
                    + (": the order is not settled." if open_ else "."))  # fmt: skip
    level = {e: next((g.numbers[e][p]["roc_auc"] for p in g.perturbations if "roc_auc" in g.numbers[e][p]), None)
             for e in ranked}  # fmt: skip
    if all(wording.known(v) for v in level.values()):
        if level[first] == min(level.values()):
            text.append(f"It also has the least to lose, a ROC AUC of {auc(level[first])} on originals against up to "
                        f"{auc(max(level.values()))}.")  # fmt: skip
        else:
            text.append(f"On originals it has a ROC AUC of {auc(level[first])}.")
    return Finding(title, text[0], " ".join(text[1:]))


def _restricted(g):
    """Whether a restricted representation is more robust at equal accuracy, as far as intervals say."""
    pairs = accuracy.compared(g.comparison)
    if not pairs:
        return None
    found, apart, unknown = [], [], []
    for one, other, of in pairs:
        equal, cost = accuracy.equally_accurate(g.comparison, one, other, of), _signed(of, "mean_drop")
        if equal is None:
            unknown.append(f"{one} and {other}")
        elif not equal:
            apart.append(f"{one} {'above' if of['roc_auc'] > 0 else 'below'} {other} ({_signed(of, 'roc_auc')})")
        elif of["mean_drop_low"] <= 0 <= of["mean_drop_high"]:
            found.append(f"whether {one} is more robust than {other} cannot be told ({cost})")
        else:
            found.append(f"{one} is {'more' if of['mean_drop'] < 0 else 'less'} robust than {other} ({cost})")
    if found:
        text = f"At equal accuracy on originals, by the difference of mean drops over all grids, {'; '.join(found)}."
    else:
        text = "No interpretable encoder is shown to be as accurate on originals as those that it is compared with."
    more = ["Equal means that intervals of ROC AUC overlap and that of their paired difference holds 0."]
    if apart:
        more.append(f"Not equal: {listed(apart)}.")
    if unknown:
        more.append(f"Without intervals: {listed(unknown)}.")
    return Finding("Is what is restricted more robust?", text, " ".join(more))


def _removal(g):
    alpha = 1 - checked_options(params.Robustness, g.content.get("robustness"), "robustness").confidence
    gains, tested, ceiling = [], 0, []
    for pair in g.pairs:
        forward = {name: of["forward"] or {} for name, of in g.metrics["robustness"][pair]["methods"].items()}
        top = forward.pop(methods.CEILING, {})
        if (top.get("area_low") or 0) > 0:
            ceiling.append((top["area"], pair, _gain(top)))
        known = {name: of for name, of in forward.items() if of.get("p_holm") is not None}
        tested += bool(known)
        gains += [(of["area"], pair, f"{methods.look(name)[1]} {_gain(of)}")
                  for name, of in known.items() if of["p_holm"] < alpha and of["area"] > 0]  # fmt: skip
    if not tested:
        return None
    if gains:
        best = ", ".join(f"{what} ({_pair(pair)})" for _, pair, what in sorted(gains, reverse=True)[:3])
        text = [f"Removing directions gains ROC AUC significantly in {_of({pair for _, pair, _ in gains}, g.pairs)}; "
                f"most: {best}."]  # fmt: skip
    else:
        text = [f"No way of removing directions gains ROC AUC significantly (p < {alpha:.2g} after Holm's correction) "
                "in any pair."]  # fmt: skip
    if methods.CEILING in methods.selected(g.content):
        shown = "; ".join(f"{_pair(pair)} {what}" for _, pair, what in sorted(ceiling, reverse=True)[:3])
        text.append("Training on all values, which is no removal, gains, with its whole interval, in "
                    f"{_of(ceiling, g.pairs)}" + (f" ({shown})." if ceiling else "."))  # fmt: skip
    return Finding("Does taking it out help?", text[0], " ".join(text[1:]))


# ---------------------------------------------------------------------------------------------------------- small parts


def _range(g, perturbation):
    first, last = g.values(perturbation)[0], g.values(perturbation)[-1]
    unit = g.unit(perturbation)
    if " " in unit:
        return f"{unit} {wording.value(first)} to {wording.value(last)}"
    return f"{wording.value(first)} to {wording.with_unit(last, unit)}"


def _pair(pair):
    return f"{pair[0]} under {pair[1]}"


def _some(pairs):
    """Pairs by name, or how many there are where they are many."""
    pairs = list(pairs)
    return listed(map(_pair, pairs)) if len(pairs) <= 4 else f"{len(pairs)} other pairs"


def _intervals(pairs):
    return f"the interval{'' if len(pairs) == 1 else 's'} of {_some(pairs)} overlap{'s' if len(pairs) == 1 else ''}"


def _of(some, all_pairs):
    """How many of the pairs, in words."""
    total = len(all_pairs)
    if total == 1:
        return "the one pair that there is" if some else "no pair"
    if len(some) == total:
        return "both pairs" if total == 2 else f"all {total} pairs"
    return f"{len(some) or 'none'} of the {total} pairs"


def _heldout(n):
    shown = with_interval(n["heldout_r2"], n.get("heldout_r2_low"), n.get("heldout_r2_high"), r2)
    return f"{shown} (null {r2(n.get('null_r2_p95'))})"


def _ends(n, name, how):
    return with_interval(n[name], n[f"{name}_low"], n[f"{name}_high"], how)


def _auc(n, name):
    return with_interval(n.get(name), n.get(f"{name}_low"), n.get(f"{name}_high"), auc)


def _signed(n, name):
    return with_interval(n[name], n[f"{name}_low"], n[f"{name}_high"], lambda number: auc(number, sign=True))


def _gain(section):
    return with_interval(section["area"], section.get("area_low"), section.get("area_high"),
                         lambda number: auc(number, sign=True))  # fmt: skip


def _ranks(of):
    return with_interval(of["rank"], of.get("rank_low"), of.get("rank_high"), r2)


def _overlap(one, other):
    """Whether two intervals of ranks overlap, or cannot be told apart."""
    if not wording.known(one.get("rank_high")) or not wording.known(other.get("rank_low")):
        return True
    return one["rank_high"] >= other["rank_low"]
