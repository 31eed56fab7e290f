"""What came after each row: what models learn to tell beforehand."""
