"""BG/NBD and gamma-gamma models of repeat purchases. Loaded at first use.

Sources: Fader, Hardie, Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24 (likelihood: equation
6; expected purchases: equation 10); Fader, Hardie (2013), The Gamma-Gamma Model of Monetary Value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from omni import __version__
from omni.inference.tabular.customers.purchases import Purchases

STARTS = ((1.0, 1.0, 1.0, 1.0), (0.3, 5.0, 0.8, 2.5), (2.0, 10.0, 0.5, 5.0))
VALUE_STARTS = ((5.0, 4.0, 10.0), (2.0, 3.0, 1.0))
PENALTY = 1e-6  # on the squares of the logarithms: keeps a flat likelihood from running away
LARGEST_LOG = 20.0
MOST_STEPS = 400


@dataclass(frozen=True, slots=True)
class Fitted:
    """Parameters in the order of the source, and the log-likelihood."""

    parameters: tuple[float, ...]
    log_likelihood: float


class CustomerModels:
    """Fits and predicts. Keeps nothing between calls."""

    name = f"omni-{__version__}"

    def fit_purchases(self, given: Purchases, check_time: Callable[[], object]) -> Fitted | None:
        """(r, alpha, a, b) of the BG/NBD; None when the likelihood has no maximum that can be found. Times are scaled
        to a mean age of 10 while it looks for it.
        """
        scale = 10 / float(np.mean(given.age))
        scaled = Purchases(given.frequency, given.recency * scale, given.age * scale)
        found = _maximised(lambda p: float(np.sum(bg_nbd_log_likelihood(p, scaled))), STARTS, check_time)
        if found is None:
            return None
        r, alpha, a, b = found
        parameters = (r, alpha / scale, a, b)
        return Fitted(parameters, float(np.sum(bg_nbd_log_likelihood(parameters, given))))

    def fit_values(
        self, frequency: np.ndarray, mean_value: np.ndarray, check_time: Callable[[], object]
    ) -> Fitted | None:
        """(p, q, v) of the gamma-gamma model, of customers with repeats; None when no maximum can be found."""
        scale = 10 / float(np.mean(mean_value))
        scaled = mean_value * scale
        found = _maximised(
            lambda p: float(np.sum(gamma_gamma_log_likelihood(p, frequency, scaled))), VALUE_STARTS, check_time
        )
        if found is None:
            return None
        parameters = (found[0], found[1], found[2] / scale)
        return Fitted(parameters, float(np.sum(gamma_gamma_log_likelihood(parameters, frequency, mean_value))))

    def probability_alive(self, parameters: Sequence[float], given: Purchases) -> np.ndarray:
        """float64 [customers]; 1 for those without a repeat, as the model has it."""
        r, alpha, a, b = parameters
        x = given.frequency
        log_odds = (r + x) * np.log((alpha + given.age) / (alpha + given.recency)) + np.log(
            a / (b + np.maximum(x, 1) - 1)
        )
        return np.asarray(np.where(x > 0, special.expit(-log_odds), 1.0))

    def expected_purchases(self, parameters: Sequence[float], given: Purchases, horizon: float) -> np.ndarray:
        """Within `horizon` from now, float64 [customers]."""
        r, alpha, a, b = parameters
        x, z = given.frequency, horizon / (alpha + given.age + horizon)
        alive = self.probability_alive(parameters, given)
        with np.errstate(all="ignore"):
            shrink = np.exp((r + x) * np.log1p(-z)) * special.hyp2f1(r + x, b + x, a + b + x - 1, z)
        return np.asarray((a + b + x - 1) / (a - 1) * (1 - shrink) * alive)

    def expected_value(self, parameters: Sequence[float], frequency: np.ndarray, mean_value: np.ndarray) -> np.ndarray:
        """Mean value of a customer's purchases, float64 [customers]; of those without a repeat that of all."""
        p, q, v = parameters
        return np.asarray(p * (v + frequency * mean_value) / (p * frequency + q - 1))


def bg_nbd_log_likelihood(parameters: Sequence[float], given: Purchases) -> np.ndarray:
    """Of each customer, float64 [customers]."""
    r, alpha, a, b = parameters
    x = given.frequency
    front = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
    beta = special.betaln(a, b + x) - special.betaln(a, b) - (r + x) * np.log(alpha + given.age)
    repeats = np.maximum(x, 1)
    gone = special.betaln(a + 1, b + repeats - 1) - special.betaln(a, b) - (r + x) * np.log(alpha + given.recency)
    return np.asarray(front + np.where(x > 0, np.logaddexp(beta, gone), beta))


def gamma_gamma_log_likelihood(parameters: Sequence[float], frequency: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Of each customer with repeats, float64 [customers]."""
    p, q, v = parameters
    x = frequency
    return np.asarray(
        special.gammaln(p * x + q)
        - special.gammaln(p * x)
        - special.gammaln(q)
        + q * np.log(v)
        + (p * x - 1) * np.log(mean)
        + p * x * np.log(x)
        - (p * x + q) * np.log(x * mean + v)
    )


def _maximised(
    log_likelihood: Callable[[tuple[float, ...]], float],
    starts: Sequence[tuple[float, ...]],
    check_time: Callable[[], object],
) -> tuple[float, ...] | None:
    """Positive parameters with the largest likelihood, by L-BFGS over their logarithms from several starts."""

    def cost(logs: np.ndarray) -> float:
        check_time()
        with np.errstate(all="ignore"):
            value = log_likelihood(tuple(np.exp(np.clip(logs, -LARGEST_LOG, LARGEST_LOG)).tolist()))
        return PENALTY * float(np.sum(logs**2)) - value if np.isfinite(value) else 1e300

    best = None
    for start in starts:
        bounds = [(-LARGEST_LOG, LARGEST_LOG)] * len(start)
        found = optimize.minimize(
            cost, np.log(start), method="L-BFGS-B", bounds=bounds, options={"maxiter": MOST_STEPS}
        )
        if np.isfinite(found.fun) and found.fun < 1e299 and (best is None or found.fun < best.fun):
            best = found
    if best is None or bool(np.any(np.abs(best.x) >= LARGEST_LOG - 1e-6)):
        return None
    return tuple(np.exp(best.x).tolist())
