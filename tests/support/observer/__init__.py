"""An independent observer: it judges the promises by what went in, what came out, and what the API says at the end.

It imports nothing of the product, so that a mistake there cannot excuse itself here. A run is a `History`; `observe`
answers with a `Report`, whose findings are sentences and whose table has one line per check.
"""

from tests.support.observer.history import History, Operation, Produced, Request, Span, Told
from tests.support.observer.report import CHECKS, Finding, Report
from tests.support.observer.verdict import observe

__all__ = ["CHECKS", "Finding", "History", "Operation", "Produced", "Report", "Request", "Span", "Told", "observe"]
