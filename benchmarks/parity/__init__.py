"""Every kernel that another library has too, beside it: who agrees, to how many digits, and how fast both are."""
