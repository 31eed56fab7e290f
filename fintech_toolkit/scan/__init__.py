"""The keyed scan, the one mechanism: a function of one tick, applied per symbol. It knows no kernel."""
