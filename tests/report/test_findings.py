"""The findings: what is selected, and sentences that claim what the numbers carry and no more."""

import pytest
from page_on_disk import change, write_page_inputs
from reading import findings as sentences
from results_on_disk import write_comparison

from earshift.pipeline.report_inputs import results
from earshift.report.page import findings
from earshift.report.page.content import read_content
from earshift.report.page.environment import make_environment
from earshift.report.page.page import make_page


def read():
    return read_content(results())


def said(title):
    """What the page says under a title."""
    return sentences(make_page(results()).html)[title]


def put(analysis, pair, *changes):
    """Set entries of a pair's metrics: (key, ..., value)."""
    change(results().by_analysis[analysis].path(pair), *changes)


def put_estimate(analysis, pair, place, name, number, error):
    """Set a number and its interval."""
    put(analysis, pair, *((*place, f"{name}{end}", number + sign * error) for end, sign in
                          (("", 0), ("_low", -1), ("_high", 1))))  # fmt: skip


def without_classifiers(pair, problem="fewer than three positives"):
    put("robustness", pair, *(("original", name, None) for name in ("roc_auc", "roc_auc_low", "roc_auc_high")))
    for name in results().robustness[pair]["methods"]:
        put("robustness", pair, ("methods", name, "problem", problem),
            *(("methods", name, direction, None) for direction in ("forward", "backward", "matched")))  # fmt: skip


@pytest.fixture
def pairs(inputs):
    """The four pairs of a folder with all that the page reads: two encoders under two perturbations."""
    pairs = results().study.pairs
    assert len(pairs) == 4
    return pairs


def under(pair):
    return f"{pair[0]} under {pair[1]}"


# ----------------------------------------------------------------------------------------------------------- distance


def test_distance(pairs):
    g = read()
    far = {pair: g.farthest(*pair)[1] for pair in pairs}
    ends = findings.distance(g)
    assert far[ends.least] == min(far.values()) and far[ends.most] == max(far.values())
    text = said("How far do embeddings move?")
    assert f"{far[ends.most]:.2f} ({under(ends.most)}, " in text and under(ends.least) in text


def test_no_distance_where_there_is_nothing_to_compare_with(pairs):
    for pair in pairs:
        put("trajectories", pair, ("distance_between_originals", None))
    assert findings.distance(read()) is None
    assert said("How far do embeddings move?").startswith("There are no distances")


# ---------------------------------------------------------------------------------------------------------- direction


@pytest.fixture
def directions(pairs):
    """Held-out R2 of 0.25, 0.375, 0.5 and 0.625, 0.125 on either side, nulls of 0.05."""
    for i, pair in enumerate(pairs):
        put_estimate("cca", pair, ["global"], "heldout", 0.25 + 0.125 * i, 0.125)
        put("cca", pair, ("global", "null_p95", 0.05))
    return pairs


def test_direction(directions):
    found = findings.direction(read())
    assert found.known == found.holding == found.fully == directions and found.failing == found.missing == []
    assert (found.worst, found.best) == (directions[0], directions[3]) and found.overlapping == directions[1:3]
    text = said("Do they move along one direction?")
    assert "in all 4 pairs: held-out R² lies above the 95th percentile of its null, with its whole interval." in text
    assert f"highest for {under(directions[3])}, 0.62 [0.50, 0.75] (null 0.05), but the intervals of " in text
    assert f"lowest for {under(directions[0])}, 0.25 [0.12, 0.38] (null 0.05)." in text


def test_intervals_that_overlap_with_the_best(directions):
    put("cca", directions[3], ("global", "heldout_low", 0.6))
    assert findings.direction(read()).overlapping == directions[2:3]
    assert f"but the interval of {under(directions[2])} overlaps with it" in said("Do they move along one direction?")
    put("cca", directions[3], ("global", "heldout_low", 0.7))
    assert findings.direction(read()).overlapping == []
    assert "overlap" not in said("Do they move along one direction?")


def test_direction_that_does_not_hold(directions):
    put("cca", directions[0], ("global", "null_p95", 0.3))
    put("cca", directions[1], ("global", "heldout_low", 0.01))
    found = findings.direction(read())
    assert (found.holding, found.fully, found.failing) == (directions[1:], directions[2:], directions[:1])
    text = said("Do they move along one direction?")
    assert "in 3 of the 4 pairs" in text and "in 2 of them with its whole interval" in text
    assert f"Not above the null: {under(directions[0])}." in text


def test_direction_without_numbers(directions):
    put("cca", directions[0], ("global", "heldout", None), ("global", "heldout_low", None))
    assert findings.direction(read()).missing == directions[:1]
    text = said("Do they move along one direction?")
    assert "in 3 of the 4 pairs" in text and f"Without held-out R²: {under(directions[0])}." in text
    for pair in directions:
        put("cca", pair, ("global", "heldout", None))
    assert said("Do they move along one direction?").startswith("There is no held-out R²")


# ------------------------------------------------------------------------------------------- dimensions and neighbours


def test_dimensions(pairs):
    for i, pair in enumerate(pairs):
        put_estimate("svd", pair, ["overall"], "effective_rank", 5.25 + i, 0.5)
        put("svd", pair, ("overall", "null_effective_rank", 21.5), ("overall", "directions", 24))
    assert findings.dimensions(read()) == findings.Dimensions(pairs[0], pairs[3], pairs)
    text = said("In how many dimensions do they move?")
    assert f"5.2 [4.8, 5.8] of 24 ({under(pairs[0])}) and 8.2 [7.8, 8.8]" in text
    assert text.endswith("in all 4 pairs.")
    put("svd", pairs[0], ("overall", "null_effective_rank", 5.5))
    assert findings.dimensions(read()).below == pairs[1:]
    assert "in 3 of the 4 pairs. In the other pairs" in said("In how many dimensions do they move?")
    for pair in pairs:
        put("svd", pair, ("overall", "effective_rank", None))
    assert findings.dimensions(read()) is None


NEIGHBOURS = "Do neighbours stay neighbours?"


@pytest.fixture
def consistent(pairs):
    """Between vectors 0.75, 0.72, 0.69 and 0.66 of the clips, 0.02 on either side, 0.94 in the audio."""
    for i, pair in enumerate(pairs):
        put_estimate("consistency", pair, ["overall"], "within_euclidean", 0.75 - 0.03 * i, 0.02)
        put_estimate("consistency", pair, ["overall"], "within_dtw", 0.94, 0.02)
        put_estimate("consistency", pair, ["overall"], "between_spearman_dtw_euclidean", 0.25 - 0.03 * i, 0.02)
    return pairs


def test_neighbours(consistent):
    found = findings.neighbours(read())
    assert (found.least, found.most) == found.correlation == (consistent[3], consistent[0])
    assert found.compared == found.fewer == consistent and found.more == []
    text = said(NEIGHBOURS)
    assert f"between 66 % [64 %, 68 %] ({under(consistent[3])}) and 75 % [73 %, 77 %]" in text
    assert "(DTW) the share is higher in all 4 pairs and lower in none of the 4 pairs" in text
    assert text.endswith(f"between 0.16 [0.14, 0.18] ({under(consistent[3])}) and 0.25 [0.23, 0.27] "
                         f"({under(consistent[0])}).")  # fmt: skip
    put("consistency", consistent[0], ("overall", "within_euclidean_high", 0.95))
    assert findings.neighbours(read()).fewer == consistent[1:]


def test_neighbours_without_intervals_or_numbers(consistent):
    for pair in consistent:
        ends = [f"{name}{end}" for name in ("within_dtw", "within_euclidean") for end in ("_low", "_high")]
        put("consistency", pair, *(("overall", name, None) for name in [*ends, "between_spearman_dtw_euclidean"]))
    found, text = findings.neighbours(read()), said(NEIGHBOURS)
    assert found.compared == [] and found.correlation is None
    assert "between 66 % (" in text and "in the audio" not in text and "correlation" not in text
    for pair in consistent:
        put("consistency", pair, ("overall", "within_euclidean", None))
    assert findings.neighbours(read()) is None and NEIGHBOURS not in sentences(make_page(results()).html)


# -------------------------------------------------------------------------------------------------------- classifiers


@pytest.fixture
def costs(pairs):
    """Mean drops of 1, 2, 3 and 4 hundredths, one half of a hundredth on either side; worst drops twice that."""
    for i, pair in enumerate(pairs, 1):
        for name, times in (("mean_drop", 1), ("worst_drop", 2)):
            put_estimate("robustness", pair, ["methods", "none", "forward"], name, 0.01 * i * times, 0.005)
    write_comparison(results().folders.metrics.parent.absolute())
    return pairs


def test_cost(costs):
    assert findings.cost(read()) == findings.Cost(costs[3], costs, costs)
    text = said("What does it cost a classifier?")
    assert f"lose most for {under(costs[3])}: 0.040 [0.035, 0.045] of a ROC AUC of " in text
    assert "above 0 in all 4 pairs" in text and "other pairs" not in text
    put("robustness", costs[0], ("methods", "none", "forward", "mean_drop_low", -0.01))
    assert findings.cost(read()).mean == costs[1:]
    named = f"({under(costs[1])}, {under(costs[2])} and {under(costs[3])})"
    assert f"above 0 in 3 of the 4 pairs {named}. In the other pairs" in said("What does it cost a classifier?")


def test_ranking(pairs):
    one, other = dict.fromkeys(encoder for encoder, _ in pairs)
    comparison = results().folders.metrics / "comparison.json"
    overall = ("measures", results().comparison["severity"], "overall")
    for encoder, rank in ((one, 1.0), (other, 2.0)):
        change(comparison, *((*overall, encoder, f"rank{end}", rank) for end in ("", "_low", "_high")),
               (*overall, encoder, "first", 2 - rank))  # fmt: skip
    found = findings.ranking(read())
    assert (found.encoders, found.first, found.settled) == ([one, other], 1.0, True)
    text = said("Which encoder loses least?")
    assert f"Per unit of log-spectral distance (dB), {one} loses least: its mean rank" in text
    assert "first in 100 % of the resamples of the recordings." in text and "settled" not in text
    for pair in pairs:
        put("robustness", pair, ("original", "roc_auc", 0.75 if pair[0] == one else 0.875))
    assert "the lowest ROC AUC on originals, 0.750 (the highest is 0.875)" in said("Which encoder loses least?")
    change(comparison, (*overall, one, "rank_high", 2.0))
    assert not findings.ranking(read()).settled and "is not settled" in said("Which encoder loses least?")
    change(comparison, (*overall, one, "rank", None))
    assert findings.ranking(read()) is None


REMOVAL = "Does removing directions help?"


@pytest.fixture
def removals(pairs):
    """LEACE gains 0.01 to 0.04 and augmentation twice that; no other method gains anything."""
    for i, pair in enumerate(pairs, 1):
        for name in results().robustness[pair]["methods"]:
            gain = {"leace": 0.01 * i, "augmentation": 0.02 * i}.get(name, 0.0)
            put_estimate("robustness", pair, ["methods", name, "forward"], "area", gain, 0.005)
            put("robustness", pair, ("methods", name, "forward", "p_holm", None if name == "none" else
                                     0.02 if gain else 0.5))  # fmt: skip
    return pairs


def test_removal(removals):
    found = findings.removal(read())
    assert found.pairs == removals and found.alpha == pytest.approx(0.05)
    assert [(gain.pair, gain.method) for gain in found.gains] == [(pair, "leace") for pair in reversed(removals)]
    assert [gain.pair for gain in found.ceiling] == removals[::-1]
    text = said(REMOVAL)
    assert "significantly in all 4 pairs; the largest gains are LEACE +0.040 [+0.035, +0.045]" in text
    assert "which is not a removal, gains ROC AUC with its whole interval above 0 in all 4 pairs (" in text
    for pair in removals:
        put("robustness", pair, ("methods", "leace", "forward", "p_holm", 0.5))
    assert said(REMOVAL).startswith("No removal of directions gains ROC AUC significantly (p < 0.05 after Holm’s")


def test_restricted(pairs):
    one, other = dict.fromkeys(encoder for encoder, _ in pairs)
    path = results().folders.metrics / "comparison.json"
    overall = ("accuracy", "perturbations", "overall")
    ends = (("", 0), ("_low", -0.05), ("_high", 0.05))
    for encoder in (one, other):
        change(path, *((*overall, encoder, f"roc_auc{end}", 0.9 + by) for end, by in ends))
    change(path, *(("accuracy", "differences", 0, f"{name}{end}", number + by) for end, by in ends
                   for name, number in (("roc_auc", 0.0), ("mean_drop", -0.1))))  # fmt: skip
    (found,) = findings.restricted(read())
    assert found.one == "mfcc" and found.equal and found.less_drop is not None
    title = "Are restricted representations more robust?"
    word = "more" if found.less_drop else "less"
    assert f"mfcc is {word} robust than {found.other} (" in said(title)
    change(
        path,
        ("accuracy", "differences", 0, "mean_drop_low", -0.2),
        ("accuracy", "differences", 0, "mean_drop_high", 0.2),
    )
    assert findings.restricted(read())[0].less_drop is None
    assert f"it is undecided whether mfcc is more robust than {found.other}" in said(title)
    change(path, ("accuracy", "differences", 0, "roc_auc_low", 0.01), ("accuracy", "differences", 0, "roc_auc", 0.03))
    assert findings.restricted(read())[0].equal is False
    assert "No interpretable encoder is shown" in said(title) and "Not equal: mfcc" in said(title)
    change(path, ("accuracy", "differences", 0, "roc_auc_low", None))
    assert findings.restricted(read())[0].equal is None and "Without intervals: mfcc and" in said(title)


def test_without_labels_there_are_no_classifiers(pairs):
    write_page_inputs(results().folders.metrics.parent, label=lambda name: "")
    for pair in pairs:
        without_classifiers(pair, "no instrument can be classified")
    html = make_page(results()).html
    assert "(no labels)" in html and "what the movement costs" not in html
    found = sentences(html)
    assert found["What does it cost a classifier?"] == "There are no classifiers: the corpus has no labels."
    assert set(found).isdisjoint({"Which encoder loses least?", REMOVAL})
    write_page_inputs(results().folders.metrics.parent)
    assert said("What does it cost a classifier?") == "There are no classifiers: no instrument can be classified."


def test_one_pair_without_classifiers(costs):
    without_classifiers(costs[3])
    assert findings.cost(read()).most == costs[2]


# ------------------------------------------------------------------------------------------------------------ studies


def test_mfcc_against_the_others_as_in_kim2019(inputs):
    found = findings.find(read())
    assert found.kim2019.total == len(read().checks) == sum(map(len, findings.by_verdict(read().checks).values()))
    text = said("Do the results agree with Kim et al. (2019)?")
    for verdict, part in (
        ("agrees", "higher than with"),
        ("disagrees", "lower than with"),
        ("undecided", "undecided ("),
    ):
        assert (part in text) == bool(found.mfcc[verdict])
    assert f"Of {found.kim2019.total} checks {found.kim2019.agrees} agree" in text


def test_pairs_in_words(inputs):
    words = make_environment().get_template("macros.html.j2").make_module({"g": read()})
    pairs = results().study.pairs
    assert words.share(pairs) == "all 4 pairs" and words.share(pairs[:1]) == "1 of the 4 pairs"
    assert words.share([]) == "none of the 4 pairs"
    assert words.pairs(pairs[:2]) == f"{under(pairs[0])} and {under(pairs[1])}"
    assert words.pairs(pairs * 2, "other ") == "8 other pairs"
