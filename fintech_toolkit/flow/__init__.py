"""What is to be computed, as pure data: it knows no engine."""
