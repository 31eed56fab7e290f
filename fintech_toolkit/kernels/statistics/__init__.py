"""Statistics of one or two columns, exponentially weighted or over windows."""
