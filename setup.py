"""For tools that ask for it; all that it could say is in pyproject.toml."""

from setuptools import setup

setup()
