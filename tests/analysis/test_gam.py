"""The additive model against statsmodels, dense algebra and classical analysis of variance, and in simulations."""

import numpy as np
import pandas as pd
import pytest

from earshift.analysis import gam

BASIS = 10


def layout(encoders=3, perturbations=4, values=6, trials=1):
    """Magnitudes and factors of a full crossing."""
    rows = [(e, p, v) for e in range(encoders) for _ in range(trials) for p in range(perturbations)
            for v in range(values)]  # fmt: skip
    e, p, v = np.array(rows).T
    factors = {"encoder": np.array([f"e{i}" for i in e]), "perturbation": np.array([f"p{i}" for i in p])}
    return v / (values - 1), factors


def centred(curve, x, factors):
    """A curve of magnitude for each cell, its mean over the cell 0."""
    cells = list(zip(factors["encoder"], factors["perturbation"], strict=True))
    numbers = np.zeros(len(x))
    for cell in dict.fromkeys(cells):
        of = np.array([c == cell for c in cells])
        own = curve(x[of], int(cell[0][1:]), int(cell[1][1:]))
        numbers[of] = own - own.mean()
    return numbers


def bend(x, encoder, perturbation):
    return 0.5 * (x - 0.1 * perturbation) ** 2 * (1 + encoder)


def step(x, encoder, perturbation):
    return 0.8 / (1 + np.exp((x - 0.2 - 0.1 * perturbation - 0.1 * encoder) * (6 + 4 * encoder)))


def fitted(y, x, factors, interactions=(("encoder", "perturbation"),), basis=BASIS):
    return gam.fit(y, x, factors, interactions, basis=basis)


@pytest.fixture
def noisy():
    """An example, trials and all."""
    x, factors = layout(2, 3, 9, trials=2)
    y = centred(bend, x, factors) + 0.1 * (factors["encoder"] == "e1")
    return y + np.random.default_rng(1).normal(0, 0.05, len(x)), x, factors


def codes(factors):
    return {name: np.unique(labels, return_inverse=True)[1] for name, labels in factors.items()}


def contrasts(labels):
    """Sum-to-zero columns of a factor, written out: 1 at a level, -1 at the last one."""
    *first, last = np.unique(labels)
    return [(labels == level).astype(float) - (labels == last) for level in first]


def dense(x, factors):
    """Columns of factors, centred columns of smooths, and their penalties, without the code under test."""
    from statsmodels.gam.smooth_basis import UnivariateBSplines

    encoder, perturbation = factors["encoder"], factors["perturbation"]
    one, other = contrasts(encoder), contrasts(perturbation)
    linear = np.column_stack([np.ones(len(x)), *one, *other, *(a * b for a in one for b in other)])
    smooths, penalties = [], []
    for e, p in sorted(set(zip(encoder, perturbation, strict=True))):
        rows = np.flatnonzero((encoder == e) & (perturbation == p))
        values, place = np.unique(x[rows], return_inverse=True)
        functions = min(BASIS, len(values) - 1)
        spline = UnivariateBSplines(values, df=functions, degree=3, include_intercept=True)
        basis = spline.basis[place, :-1]  # they add up to 1: without the mean, one tells nothing new
        columns = np.zeros((len(x), functions - 1))
        columns[rows] = basis - basis.mean(axis=0)
        smooths.append(columns)
        penalties.append(spline.cov_der2[:-1, :-1])
    return linear, smooths, penalties


def test_the_fit_is_that_of_statsmodels(noisy):
    """GLMGam solves for factors and smooths together; here they are solved one by one, being orthogonal."""
    from statsmodels.gam.api import GLMGam
    from statsmodels.gam.smooth_basis import GenericSmoothers, UnivariateGenericSmoother

    y, x, factors = noisy
    fit = fitted(y, x, factors)
    linear, smooths, penalties = dense(x, factors)
    parts = [UnivariateGenericSmoother(x, basis, None, None, s) for basis, s in zip(smooths, penalties, strict=True)]
    smoother = GenericSmoothers(np.column_stack([x] * len(parts)), parts)
    alpha = fit.penalty / 2  # theirs weighs half the sum of squares
    other = GLMGam(y, exog=linear, smoother=smoother, alpha=[alpha] * len(parts)).fit()
    columns = linear.shape[1]
    assert fit.fitted == pytest.approx(other.fittedvalues, abs=1e-8)
    assert fit.coefficients == pytest.approx(other.params[:columns], abs=1e-8)
    assert fit.covariance == pytest.approx(other.normalized_cov_params[:columns, :columns], abs=1e-8)
    exog = np.hstack([linear, *smooths])
    hat = exog @ other.normalized_cov_params @ exog.T
    assert fit.variance == pytest.approx(np.diag(hat), abs=1e-8)
    assert np.trace(hat) == pytest.approx(other.edf.sum())
    rest = np.eye(len(y)) - hat
    assert fit.residual_df == pytest.approx(np.trace(rest @ rest.T))
    assert fit.edf == pytest.approx(len(y) - fit.residual_df)
    assert fit.scale == pytest.approx(((y - other.fittedvalues) ** 2).sum() / fit.residual_df)


def test_the_penalty_has_the_highest_restricted_likelihood(noisy):
    """By definition: smooths are normal with covariance variance / penalty x inverse of their penalty matrix."""
    y, x, factors = noisy
    fit = fitted(y, x, factors)
    linear, smooths, penalties = dense(x, factors)
    fixed, random = [linear], np.zeros((len(y), len(y)))
    for basis, s in zip(smooths, penalties, strict=True):
        size, turn = np.linalg.eigh(s)
        free = size < 1e-9 * size.max()
        fixed.append(basis @ turn[:, free])
        random += (basis @ turn[:, ~free] / size[~free]) @ (basis @ turn[:, ~free]).T
    fixed = np.hstack(fixed)

    def criterion(penalty):
        v = np.eye(len(y)) + random / penalty
        inside = fixed.T @ np.linalg.solve(v, fixed)
        rest = y - fixed @ np.linalg.solve(inside, fixed.T @ np.linalg.solve(v, y))
        spread = rest @ np.linalg.solve(v, rest)
        logs = np.linalg.slogdet(v)[1] + np.linalg.slogdet(inside)[1]
        return (len(y) - fixed.shape[1]) * np.log(spread) + logs

    around = fit.penalty * 2.0 ** np.arange(-12, 13)
    assert np.argmin([criterion(penalty) for penalty in around]) == 12
    assert criterion(fit.penalty) < min(criterion(fit.penalty * 1.03), criterion(fit.penalty / 1.03))


@pytest.mark.parametrize("balanced", [True, False])
def test_without_smooths_it_is_the_classical_analysis_of_variance(balanced):
    import statsmodels.formula.api as smf
    from statsmodels.stats.anova import anova_lm

    x, factors = layout(3, 4, 2, trials=2)
    kept = np.ones(len(x), dtype=bool)
    kept[[] if balanced else [0, 5, 17]] = False
    x, factors = x[kept], {name: labels[kept] for name, labels in factors.items()}
    y = np.random.default_rng(0).normal(0, 1, len(x)) + (factors["encoder"] == "e1")
    fit = fitted(y, x, factors)
    table = pd.DataFrame({"y": y, **factors})
    classical = anova_lm(smf.ols("y ~ C(encoder, Sum) * C(perturbation, Sum)", table).fit(), typ=3).iloc[1:]
    assert fit.residual_df == pytest.approx(classical["df"].iloc[-1])
    for (f, df, p), (_, row) in zip(fit.anova().values(), classical.iloc[:-1].iterrows(), strict=True):
        assert (f, df, p) == pytest.approx((row["F"], row["df"], row["PR(>F)"]))
    assert not fit.smooth_edf.any() and fit.penalty == 0


@pytest.mark.parametrize(("values", "most"), [(3, 1), (4, 2), (5, 3), (6, 4), (30, 9)])
def test_every_smooth_has_a_line_at_least_and_fewer_freedoms_than_values(values, most):
    x, factors = layout(2, 2, values)
    rng = np.random.default_rng(values)
    for noise in (0, 0.1, 10):
        fit = fitted(centred(step, x, factors) + noise * rng.normal(size=len(x)), x, factors)
        assert np.all((fit.smooth_edf >= 1 - 1e-9) & (fit.smooth_edf <= most + 1e-9))
        assert most <= values - 2 and fit.residual_df >= 4 * (1 - 1e-9), "noise and curves can be distinguished"


def test_a_line_costs_nothing_and_noise_is_smoothed_to_one():
    x, factors = layout(3, 4, 12)
    line = fitted(2 * x + 1, x, factors)
    assert line.r2 == pytest.approx(1) and line.exact and np.isnan(line.anova()[("encoder",)][0])
    assert line.fitted == pytest.approx(2 * x + 1)
    noise = fitted(np.random.default_rng(3).normal(size=len(x)), x, factors)
    assert noise.smooth_edf.mean() < 1.5 and noise.r2 < 0.4


def test_means_weigh_levels_alike_whatever_the_size_of_their_cells():
    x, factors = layout(2, 2, 4, trials=2)
    kept = ~((factors["encoder"] == "e0") & (factors["perturbation"] == "p0") & (np.arange(len(x)) < 4))
    x, factors = x[kept], {name: labels[kept] for name, labels in factors.items()}
    y = np.random.default_rng(0).normal(size=len(x))
    fit = fitted(y, x, factors)
    means, errors = fit.means("encoder")
    cells = pd.DataFrame({"y": y, **factors}).groupby(["encoder", "perturbation"])["y"].agg(["mean", "size"])
    assert means == pytest.approx(cells["mean"].groupby("encoder").mean().to_numpy())
    expected = np.sqrt(fit.scale * (1 / cells["size"]).groupby("encoder").sum().to_numpy()) / 2
    assert errors == pytest.approx(expected)


def test_r2_is_the_share_of_the_variance(noisy):
    y, x, factors = noisy
    fit = fitted(y, x, factors)
    assert fit.r2 == pytest.approx(1 - np.var(y - fit.fitted) / np.var(y)) and 0.5 < fit.r2 < 1


def test_what_the_data_cannot_tell_is_left_out():
    x, factors = layout(1, 3, 6)
    y = np.random.default_rng(0).normal(size=len(x))
    fit = fitted(y, x, factors)
    assert list(fit.anova()) == [("perturbation",)] and [term for term, _ in fit.left_out] == [("encoder",)]
    assert fit.means("encoder")[0] == pytest.approx([y.mean()])

    x, factors = layout(3, 3, 6)
    y = np.random.default_rng(0).normal(size=len(x))
    kept = ~((factors["encoder"] == "e2") & (factors["perturbation"] == "p2"))
    fit = fitted(y[kept], x[kept], {name: labels[kept] for name, labels in factors.items()})
    assert list(fit.anova()) == [("encoder",), ("perturbation",)]
    assert fit.left_out == [(("encoder", "perturbation"), "not every combination of its levels has observations")]

    twins = {"encoder": factors["encoder"], "perturbation": factors["encoder"]}
    fit = fitted(y, x, twins)
    assert list(fit.anova()) == [("encoder",)] and [term for term, _ in fit.left_out] == [("perturbation",)]


def test_as_many_parameters_as_observations_have_no_tests():
    x, factors = layout(2, 2, 2)
    x, factors = x[x == 0], {name: labels[x == 0] for name, labels in factors.items()}
    fit = fitted(np.array([1.0, 2, 3, 5]), x, factors)
    assert not fit.testable and np.isnan(fit.scale) and np.isnan(fit.reach(0.95))
    assert np.isnan(fit.means("encoder")[1]).all() and fit.means("encoder")[0] == pytest.approx([1.5, 4])


def simulate(runs, design, curve, noise=0.05):
    """Of so many data sets, in how many each term is found at 5 %, its F lies where it should, intervals hold means.

    Encoders differ, perturbations do not, nothing interacts; curves have their own shape in every cell. F should lie in
    the middle 95 % of the noncentral F distribution of what was planted.
    """
    from scipy.stats import ncf

    x, factors = layout(*design)
    effect = np.linspace(-0.06, 0.06, design[0])
    planted = effect[codes(factors)["encoder"]]
    truth, planted = centred(curve, x, factors) + planted, [(planted**2).sum() / noise**2, 0, 0]
    rng = np.random.default_rng(20)
    found, inside, covered = np.zeros(3, dtype=int), np.zeros(3, dtype=int), {"encoder": 0, "perturbation": 0}
    for _ in range(runs):
        fit = fitted(truth + noise * rng.normal(size=len(x)), x, factors)
        f, df, p = np.transpose(list(fit.anova().values()))
        low, high = ncf.ppf([[0.025], [0.975]], df, fit.residual_df, planted)
        found += p < 0.05
        inside += (low <= f) & (f <= high)
        for factor, true in (("encoder", effect), ("perturbation", 0)):
            means, errors = fit.means(factor)
            covered[factor] = covered[factor] + (np.abs(means - true) <= fit.reach(0.95) * errors)
    return found, inside, covered


def test_planted_effects_are_found_and_others_are_not():
    found, inside, covered = simulate(8, (3, 4, 6), bend)
    assert found[0] == 8 and max(found[1:]) <= 3 and min(inside) >= 5
    assert covered["encoder"].mean() >= 6 and covered["perturbation"].mean() >= 6


@pytest.mark.slow
@pytest.mark.parametrize("design", [(3, 4, 6), (3, 4, 4), (5, 5, 18), (3, 4, 6, 3)], ids=str)
@pytest.mark.parametrize("curve", [bend, lambda x, *cell: 0 * x], ids=["curves", "noise"])
def test_simulated_data_keep_the_error_rate_and_the_coverage(design, curve):
    """Of 200 data sets: bounds hold 99.9 % of binomial counts on either side."""
    from scipy.stats import binom

    found, inside, covered = simulate(200, design, curve)
    low, high = binom.ppf([0.001, 0.999], 200, 0.05)
    assert found[0] == 200
    assert low <= found[1] <= high and low <= found[2] <= high
    for counts in (inside, *covered.values()):
        assert np.all((counts >= 200 - high) & (counts <= 200 - low)), counts


@pytest.mark.slow
@pytest.mark.parametrize("design", [(3, 4, 6), (5, 5, 18)], ids=str)
def test_steps_that_smooths_cannot_follow_make_tests_careful_not_bold(design):
    found, _, covered = simulate(200, design, step)
    assert found[0] > 190 and max(found[1:]) <= 20
    assert min(counts.min() for counts in covered.values()) >= 180
