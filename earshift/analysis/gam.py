"""An additive model of a response over crossed factors, with one smooth of magnitude in every cell.

This model is our own because no library in Python chooses one penalty that all smooths share by restricted likelihood:
statsmodels and pygam choose penalties by AIC, GCV or cross-validation, which follow the noise of small cells. The tests
compare fits, tests and means with statsmodels and with closed forms.

Conventions
-----------
response = constant + factors + interactions + smooth of its cell(magnitude) + Gaussian noise of one variance. A *cell*
is a combination of the levels of all factors. It may hold several observations at one magnitude (trials), and cells may
have different magnitudes.

Identifiability: contrasts of factors sum to zero, and every smooth sums to zero over the observations of its cell. So a
factor is about means over the magnitudes, each level weighs the same whatever the size of its cells, and columns of
smooths are orthogonal to columns of factors. Least squares of the factors and penalised least squares of each smooth
are therefore separate, and together exactly the joint fit (the tests hold it against statsmodels' ``GLMGam``).

Smooths: cubic B-splines of statsmodels, penalised by the integrated square of their second derivative. A cell has at
most ``basis`` functions and at least one fewer than it has magnitudes, so that noise and smooth can be separated where
no magnitude is observed twice; four magnitudes give a parabola, three a line, two no smooth at all. All smooths share
one penalty (``id`` of s() in R's mgcv), which minimises the restricted likelihood (REML). Penalties of their own would
follow the noise where cells have few magnitudes: twelve smooths of six points of pure noise take so much of it that F
tests at 5 % reject 10 to 12 % of true hypotheses. One penalty is estimated from all cells.

Degrees of freedom: with A the matrix from response to fitted values, the effective ones are trace(2 A - A A'), those
left trace((I - A)(I - A)'), by which the sum of squared residuals is divided (T. Hastie and R. Tibshirani, Generalized
Additive Models, 1990, 3.5; ``edf1`` of mgcv). The trace of A alone is smaller where smooths are penalised, and scales
the noise too low.

Tests: Wald tests of whole terms with the covariance of the penalised fit, as anova.gam of mgcv makes them (S. Wood,
Generalized Additive Models, 2nd edition 2017, 6.12), F = b' C^-1 b / df. They take the penalty for given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Term = tuple[str, ...]  # factors; an interaction has several, the constant none

_KEPT = 1e-4  # share of the cheapest direction that the largest penalty leaves, of the dearest that the smallest takes
_STEP = 0.01  # decades between the penalties that are tried: so coarse that every machine finds the same one
_NOTHING = 1e-12  # share of the variation below which what is left is rounding


@dataclass(frozen=True)
class Smooth:
    """The smooth of one cell in the coordinates in which its penalty is diagonal.

    rows : int [shape=(n,)], observations of the cell
    basis : float64 [shape=(n, k)], orthonormal columns, each of sum 0
    cost : float64 [shape=(k,)], of a direction per unit of penalty; 0 for the line
    """

    rows: Integers
    basis: Floats
    cost: Floats


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    levels : dict of factor to tuple of its levels
    terms : dict of term, a tuple of factors, to the slice of its columns; () is the constant
    coefficients : float64 [shape=(columns,)]
    covariance : float64 [shape=(columns, columns)], of the coefficients, divided by `scale`
    scale : float, variance of the noise: sum of squared residuals over `residual_df`; NaN without any of these
    edf : float, effective degrees of freedom, of factors and smooths together
    smooth_edf : float64 [shape=(cells,)], those of each smooth
    penalty : float, of all smooths; 0 where none has anything to penalise
    r2 : float, share of the variance that the model has; NaN for a constant response
    fitted, variance : float64 [shape=(observations,)], values and their variance, divided by `scale`
    exact : bool, whether nothing but rounding is left of the response
    left_out : list of (term, reason), without the interactions of a factor that is left out
    """

    levels: dict[str, tuple[str, ...]]
    terms: dict[Term, slice]
    coefficients: Floats
    covariance: Floats
    scale: float
    edf: float
    residual_df: float
    smooth_edf: Floats
    penalty: float
    r2: float
    fitted: Floats
    variance: Floats
    exact: bool
    left_out: list[tuple[Term, str]]

    @property
    def testable(self) -> bool:
        """Whether there is noise to test against, and degrees of freedom to estimate it from."""
        return self.residual_df > _NOTHING and not self.exact

    def anova(self) -> dict[Term, tuple[float, int, float]]:
        """Wald test of every term.

        Returns
        -------
        dict of term to (float, int, float)
            F, its degrees of freedom and p; F and p are NaN where :attr:`testable` is false.
        """
        from scipy.special import fdtrc

        found = {}
        for term, columns in self.terms.items():
            if not term:
                continue
            b, df = self.coefficients[columns], columns.stop - columns.start
            f = p = float("nan")
            if self.testable:
                f = float(b @ np.linalg.solve(self.covariance[columns, columns], b) / df / self.scale)
                p = float(fdtrc(df, self.residual_df, f))
            found[term] = f, df, p
        return found

    def means(self, factor: str) -> tuple[Floats, Floats]:
        """Estimated marginal means: of every level, over the levels of all other factors, each weighing the same.

        Parameters
        ----------
        factor : str, whose effect is in the model, or that has one level

        Returns
        -------
        float64 [shape=(levels,)], float64 [shape=(levels,)]
            Means and their standard errors, NaN where :attr:`testable` is false.
        """
        wanted = np.zeros((len(self.levels[factor]), len(self.coefficients)))
        wanted[:, self.terms[()]] = 1
        if (factor,) in self.terms:
            wanted[:, self.terms[(factor,)]] = _contrasts(len(self.levels[factor]))
        errors = np.sqrt(np.einsum("ij,jk,ik->i", wanted, self.covariance, wanted) * self.scale)
        return wanted @ self.coefficients, errors if self.testable else np.full(len(errors), np.nan)

    def reach(self, confidence: float) -> float:
        """How many standard errors an interval reaches to each side (Student's t); NaN where nothing is testable."""
        from scipy.special import stdtrit

        return float(stdtrit(self.residual_df, (1 + confidence) / 2)) if self.testable else float("nan")


def fit(
    response: ArrayLike,
    magnitude: ArrayLike,
    factors: Mapping[str, Sequence[str] | NDArray[np.str_]],
    interactions: Sequence[Term],
    *,
    basis: int,
) -> Fit:
    """The model with the penalty that minimises the restricted likelihood.

    Parameters
    ----------
    response : float [shape=(n,)], finite
    magnitude : float [shape=(n,)], finite
    factors : dict of name to str [shape=(n,)]; levels are in order of first appearance
    interactions : sequence of tuples of names, each after all that it contains
    basis : int, the most functions of a smooth, its constant included

    Returns
    -------
    Fit
        Without the terms that the data cannot separate from those before them; ``left_out`` says which and why.
    """
    response, magnitude = (np.asarray(of, dtype=np.float64) for of in (response, magnitude))
    levels = {name: tuple(dict.fromkeys(labels)) for name, labels in factors.items()}
    codes = {name: np.array([levels[name].index(label) for label in labels]) for name, labels in factors.items()}
    design, terms, left_out = _design(levels, codes, [*((name,) for name in factors), *map(tuple, interactions)])
    inverse = np.linalg.pinv(design)
    coefficients, covariance = _without_rounding(inverse @ response, response), inverse @ inverse.T
    fitted, variance = design @ coefficients, np.einsum("ij,jk,ik->i", design, covariance, design)
    smooths = [_smooth(rows, magnitude[rows], basis) for rows in _cells(codes)]
    energies = [(smooth.basis.T @ response[smooth.rows]) ** 2 for smooth in smooths]
    unexplained = ((response - fitted) ** 2).sum()  # by the factors alone
    penalty = _penalty(smooths, energies, unexplained, len(response) - design.shape[1])
    smooth_edf = np.zeros(len(smooths))
    for place, smooth in enumerate(smooths):
        kept = 1 / (1 + penalty * smooth.cost)
        fitted[smooth.rows] += smooth.basis @ (kept * (smooth.basis.T @ response[smooth.rows]))
        variance[smooth.rows] += smooth.basis**2 @ kept
        smooth_edf[place] = (2 * kept - kept**2).sum()
    edf = design.shape[1] + smooth_edf.sum()
    residual, total = ((response - fitted) ** 2).sum(), ((response - response.mean()) ** 2).sum()
    residual_df = len(response) - edf
    magnified = (response**2).sum()
    exact = bool(residual <= _NOTHING * magnified)
    return Fit(
        levels=levels, terms=terms, coefficients=coefficients, covariance=covariance,
        scale=(0.0 if exact else residual / residual_df) if residual_df > _NOTHING else float("nan"),
        edf=float(edf), residual_df=float(residual_df), smooth_edf=smooth_edf, penalty=penalty,
        r2=1 - residual / total if total > _NOTHING * magnified else float("nan"),
        fitted=_without_rounding(fitted, response), variance=variance, exact=exact, left_out=left_out,
    )  # fmt: skip


def _without_rounding(numbers: Floats, response: Floats) -> Floats:
    """Numbers, 0 where they are rounding on the scale of the response: rounding differs from machine to machine."""
    return np.where(np.abs(numbers) > _NOTHING * np.abs(response).max(), numbers, 0.0)


# -------------------------------------------------------------------------------------------------------------- factors


def _contrasts(levels: int) -> Floats:
    """Sum-to-zero contrasts [shape=(levels, levels - 1)]."""
    return np.vstack([np.eye(levels - 1), np.full(levels - 1, -1.0)])


def _design(
    levels: dict[str, tuple[str, ...]], codes: dict[str, Integers], wanted: Sequence[Term]
) -> tuple[Floats, dict[Term, slice], list[tuple[Term, str]]]:
    """Columns of the constant and of all wanted terms that can be separated from those before them."""
    design = np.ones((len(next(iter(codes.values()))), 1))
    terms: dict[Term, slice] = {(): slice(0, 1)}
    left_out: list[tuple[Term, str]] = []
    for term in wanted:
        if len(term) == 1 and len(levels[term[0]]) < 2:
            left_out.append((term, "it has one level"))
            continue
        if len(term) > 1 and not all((name,) in terms for name in term):
            continue  # a factor of it is left out, which is listed
        columns = np.ones((len(design), 1))
        for name in term:
            own = _contrasts(len(levels[name]))[codes[name]]
            columns = (columns[:, :, None] * own[:, None, :]).reshape(len(design), -1)
        wider = np.hstack([design, columns])
        if np.linalg.matrix_rank(wider) < wider.shape[1]:
            reason = "not every combination of its levels has observations"
            left_out.append((term, reason if len(term) > 1 else "its levels are those of the factors before it"))
            continue
        terms[term] = slice(design.shape[1], wider.shape[1])
        design = wider
    return design, terms, left_out


def _cells(codes: dict[str, Integers]) -> list[Integers]:
    """Observations of every cell that has any."""
    _, cell = np.unique(np.column_stack(list(codes.values())), axis=0, return_inverse=True)
    return [np.flatnonzero(cell.reshape(-1) == each) for each in range(cell.max() + 1)]


# -------------------------------------------------------------------------------------------------------------- smooths


def _smooth(rows: Integers, magnitude: Floats, basis: int) -> Smooth:
    values, place = np.unique(magnitude, return_inverse=True)
    functions, penalty = _spline(values, min(basis, len(values) - 1))
    functions = functions[place.reshape(-1)]
    functions = functions - functions.mean(axis=0)
    left, size, right = np.linalg.svd(functions, full_matrices=False)
    kept = size > 1e-9 * max(size.max(initial=0), 1)  # the functions add up to 1: centred, one direction is lost
    back = right[kept].T / size[kept]
    cost, turn = np.linalg.eigh(back.T @ penalty @ back)
    cost = np.where(cost > 1e-9 * max(cost.max(initial=0), 1e-300), cost, 0.0)
    return Smooth(rows, left[:, kept] @ turn, cost)


def _spline(values: Floats, functions: int) -> tuple[Floats, Floats]:
    """Basis at the given values [shape=(values, functions)] and its penalty."""
    if functions < 2:
        return np.zeros((len(values), 0)), np.zeros((0, 0))
    if functions == 2:  # statsmodels' splines start at a parabola
        return values[:, None], np.zeros((1, 1))
    from statsmodels.gam.smooth_basis import UnivariateBSplines

    spline = UnivariateBSplines(values, df=functions, degree=min(3, functions - 1), include_intercept=True)
    return spline.basis, spline.cov_der2


def _penalty(smooths: list[Smooth], energies: list[Floats], unexplained: float, free: int) -> float:
    """The penalty that all smooths share.

    Twice the negative restricted likelihood is, up to a constant and with the variance at its best,

        free log(unexplained - sum c^2 / (1 + penalty d)) + sum over d > 0 of log(1 + 1 / (penalty d)),

    sums over the coordinates of all smooths, c the response's and d their cost, free the observations less the columns
    that nothing penalises.
    """
    cost, energy = (np.concatenate([np.zeros(0), *parts]) for parts in ([of.cost for of in smooths], energies))
    penalised = cost[cost > 0]
    free -= (cost == 0).sum()
    if not len(penalised):
        return 0.0
    ends = np.log10([_KEPT / penalised.max(), 1 / _KEPT / penalised.min()]) / _STEP
    tried = 10 ** (_STEP * np.arange(np.floor(ends[0]), np.ceil(ends[1]) + 1))
    if free <= 0 or not unexplained > 0:
        return float(tried[-1])
    left = unexplained - (energy / (1 + tried[:, None] * cost)).sum(axis=1)
    price = np.log1p(1 / (tried[:, None] * penalised)).sum(axis=1)
    return float(tried[np.argmin(free * np.log(np.maximum(left, _NOTHING * unexplained)) + price)])
