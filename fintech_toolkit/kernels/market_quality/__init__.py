"""Market quality: quotes of dealers, and trades against them."""
