"""Whether a kernel keeps what the library promises of kernels."""
