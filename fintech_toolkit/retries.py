"""What is tried again, because the reason for which it failed may pass."""

from __future__ import annotations

import tenacity


def retrying(attempts: int) -> tenacity.Retrying:
    """Return what calls a function so many times at most, later and later, while it raises OSError.

    A file system or a store that does not answer raises that; what is wrong with data raises an error of ours, which
    another try would meet again.

    Examples
    --------
    >>> from fintech_toolkit.retries import retrying
    >>> retrying(3)(int, "7")
    7
    """
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(OSError),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=10),
        reraise=True,
    )
