"""``python -m fintech_toolkit``."""

from fintech_toolkit.cli import main

if __name__ == "__main__":
    main()
