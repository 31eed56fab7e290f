"""The market at the width in which feeds come: one-sided quotes, a full security master, trades as reported."""
