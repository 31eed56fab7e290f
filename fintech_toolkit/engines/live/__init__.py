"""Live: pipelines and as-of joins as nodes of a stream, and their states, tied to offsets."""
