"""Random numbers by address: the stream of any block can be drawn without drawing those before it."""

import zlib

import numpy as np

from data_generators.errors import GeneratorError


def check_seed(seed: int) -> int:
    """Return the seed if it is a whole number of at most 64 bits, or raise `GeneratorError`."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
        raise GeneratorError(f"seed must be a whole number from 0 to 2**64 - 1, not {seed!r}")
    return seed


def generator(seed: int, purpose: str, *address: int) -> np.random.Generator:
    """Return the random stream that belongs to a purpose and a block.

    The stream depends on the arguments alone, never on what was drawn before, by whom, or in which process:
    that is why the number of workers, partitions and batches cannot change a byte of the data.

    Parameters
    ----------
    seed : int
        The seed of the whole market.
    purpose : str
        What the numbers are for, such as ``"securities"``.
    *address : int
        Non-negative numbers that tell blocks of one purpose apart.

    Returns
    -------
    numpy.random.Generator
        A Philox generator (Salmon et al., 2011) keyed by NumPy's `SeedSequence`.

    Examples
    --------
    >>> a, b = generator(7, "levels", 3), generator(7, "levels", 3)
    >>> bool(a.random() == b.random())
    True
    """
    key = (zlib.crc32(purpose.encode()), *address)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(check_seed(seed), spawn_key=key)))
