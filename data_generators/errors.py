"""The one family of errors that the generators raise."""


class GeneratorError(ValueError):
    """Raised when a request cannot be met: the message says what was wrong and what to do."""
