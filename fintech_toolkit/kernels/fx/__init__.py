"""Foreign exchange: forwards, crosses, pips, and the fix."""
