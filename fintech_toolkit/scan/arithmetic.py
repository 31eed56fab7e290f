"""Sums that keep their digits: what kernels that add and subtract for days share.

A running sum remembers the rounding errors of all that ever passed through it. Two things keep that harmless:

- Sums are compensated (Neumaier, 1974): what an addition rounds away is exact in float64, and is summed aside.
- A sum is compared with the greatest that it has been since it was last summed afresh. When too little is left of it,
  the window is summed again at once. For that a sum has to have a *scale* that only grows with what enters: its own
  value where all terms are positive, else the sum of their sizes. So a fresh sum is paid for by the fall before it:
  from the largest float64 to the smallest there is room for some hundred falls, and whatever starts the next row of
  them stays for a window.

Second moments are kept about a `shift`, a value from the window, so that a mean far from zero costs no digits.
"""

from __future__ import annotations

import numpy as np

from fintech_toolkit.scan.slots import STALE, helper

LEAST_OF_SUM = 1e-7
"""What share of its greatest scale a compensated sum may fall to: half of the digits, of twice as many."""

LEAST_OF_MOMENT = 1e-3
"""What share of its greatest value a sum of squares, which is not compensated, may fall to."""


@helper
def two_sum(x, y):  # type: ignore[no-untyped-def]
    """Return ``x + y`` and, exactly, what rounding took from it (Knuth, 1969)."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


@helper
def add(total, lost, x):  # type: ignore[no-untyped-def]
    """Add to a compensated sum: return the sum and what its roundings have lost."""
    total, error = two_sum(total, x)
    return total, lost + error


@helper
def replace(total, lost, old, new):  # type: ignore[no-untyped-def]
    """Take one term out of a compensated sum and put another in. Only one addition waits for the sum itself."""
    change, first = two_sum(new, -old)
    total, second = two_sum(total, change)
    return total, lost + (first + second)


@helper
def value_of(total, lost):  # type: ignore[no-untyped-def]
    """Return what a compensated sum comes to; an infinite one has lost nothing that could be said."""
    return total + lost if np.isfinite(lost) else total


@helper
def watch_sum(s, least, before, after):  # type: ignore[no-untyped-def]
    """Return what a sum's scale may not fall below, and have the window summed afresh if it did."""
    least = max(least, LEAST_OF_SUM * before)
    # Written so that NaN is too little: it is what an infinite sum leaves when it leaves.
    if not least <= after < np.inf:
        s.age = STALE
    return least


@helper
def watch_moment(s, least, before, after):  # type: ignore[no-untyped-def]
    """Do the same for a sum of squares."""
    least = max(least, LEAST_OF_MOMENT * before)
    if not after >= least:
        s.age = STALE
    return least


@helper
def blend(mean, rest, x, share):  # type: ignore[no-untyped-def]
    """Return ``rest mean + share x``, the two shares being all there is.

    Added to whichever has the larger share, the difference cannot swallow it: with a share of 1 the result is `x`, to
    the last bit, whatever was before. Equal values leave the mean exactly where it is.
    """
    return mean + share * (x - mean) if share <= 0.5 else x + rest * (mean - x)


FAR = 1e3
"""How much farther from zero than from the newest value a mean may be before its shift follows it."""


@helper
def is_far(mean, delta):  # type: ignore[no-untyped-def]
    """Return whether a shift is to follow the mean that is kept about it, which rounds nothing away.

    `delta` is how far the newest value was from the mean. That says as much as the deviation, and is known sooner: now
    and then a value is close by chance, and all that is lost then is time.
    """
    return abs(mean) > FAR * abs(delta)


@helper
def correlation(xx, yy, xy):  # type: ignore[no-untyped-def]
    """Return ``xy / √(xx yy)``, NaN where either does not vary."""
    product = xx * yy
    if xx > 0.0 and 1e-290 < product < np.inf:
        root = np.sqrt(product)
    elif xx > 0.0 and yy > 0.0:
        # The product of two moments leaves float64's range long before they do.
        root = np.sqrt(xx) * np.sqrt(yy)
    else:
        return np.nan
    return min(max(xy / root, -1.0), 1.0)
