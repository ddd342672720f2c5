"""How much a property of a pure function is tried: little, often, and without a clock."""

from hypothesis import settings

quick = settings(max_examples=40, deadline=None, database=None)
"""The unit tests are run with every change; forty examples find what a hundred find a day later."""
