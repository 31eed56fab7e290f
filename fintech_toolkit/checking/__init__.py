"""Whether a kernel keeps what the library promises of kernels."""

from fintech_toolkit.checking.report import check_kernel

__all__ = ["check_kernel"]
