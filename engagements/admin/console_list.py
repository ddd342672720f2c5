"""The base of the lists: what the console keeps in their addresses beside filters and pages."""

from typing import Any

from django.contrib.admin.views.main import ChangeList

FROZEN = "frozen"
"""Set to 1 in the address of a page that stands still (static freeze.js); to the server it means nothing."""


class ConsoleList(ChangeList):
    """Takes the mark of a frozen page for no filter. Links to other pages and orders of the list keep it."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        found.pop(FROZEN, None)
        return found
