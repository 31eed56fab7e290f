"""The generators' commands without the toolkit: ``python -m data_generators``."""

from data_generators.cli import app

if __name__ == "__main__":
    app(prog_name="python -m data_generators")
