"""From a list to an action on many: what is meant, in keys and in words, kept to be shown before it is done."""

from collections.abc import Sequence

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from engagements import operations
from engagements.admin import addresses, display
from engagements.admin.engagement_list import EngagementList
from engagements.admin.filters import Choice
from engagements.admin.operation_words import DONE
from engagements.admin.pipeline_filters import SortChoice
from engagements.admin.pipeline_list import PipelineList
from engagements.domain.draft import uuid_or_none
from engagements.models import Engagement, Operation, Pipeline
from engagements.operations import KEYS, Action
from engagements.store import read_operations
from engagements.store.connection import current
from engagements.store.patience import TooLong, within

BACK = "back"
"""Of an operation's address: the list that it was begun from, with its filters."""

FINDING_SECONDS = 2.0
"""How long whoever asked for all that match waits for them to be found."""

ACROSS = "select_across"
"""What Django's list posts as 1 when all that match are meant, beyond the page."""


def across(request: HttpRequest) -> bool:
    """Whether all that match the filter are meant, instead of the rows that are checked."""
    return request.POST.get(ACROSS) == "1"


def on_pipelines(request: HttpRequest, changelist: ChangeList, action: str) -> HttpResponse:
    """The page that shows the action before it is done; back to the list where there is nothing to do."""
    assert isinstance(changelist, PipelineList)
    busy = action == Action.PURGE
    paused = None if busy else action == Action.RESUME
    if across(request):
        try:
            with within(current(), FINDING_SECONDS):
                users = read_operations.match(current(), changelist.search, busy=busy, paused=paused, most=KEYS + 1)
        except TooLong as error:
            return refused(request, f"Nothing was done: {error}.")
        return _shown(request, action, users, scope=_in_words(changelist), selected=False, left_out=0)
    checked = request.POST.getlist(ACTION_CHECKBOX_NAME)
    rows = Pipeline.objects.filter(user_id__in=checked).order_by("user_id")
    rows = rows.filter(due_at__isnull=False) if busy else rows.filter(paused_at__isnull=not paused)
    users = list(rows.values_list("user_id", flat=True))
    scope = f"{display.number(len(users), 'pipeline')} selected one by one"
    return _shown(request, action, users, scope=scope, selected=True, left_out=len(checked) - len(users))


def on_engagements(request: HttpRequest, changelist: ChangeList) -> HttpResponse:
    """The same for replaying engagements."""
    assert isinstance(changelist, EngagementList)
    checked = request.POST.getlist(ACTION_CHECKBOX_NAME)
    rows = Engagement.objects.filter(id__in=[id for key in checked if (id := uuid_or_none(key))]).order_by("arrival")
    if across(request):
        rows = changelist.queryset
        # The oldest are taken first where there are more than one operation takes; an index gives them in that order.
        rows = rows if "arrival" in rows.query.order_by else rows.reverse()
        rows = rows.exclude(status=Engagement.Status.DELIVERED)
    rows = rows.filter(status__in=[Engagement.Status.FAILED, Engagement.Status.EXPIRED])
    try:
        with within(current(), FINDING_SECONDS):
            found = list(rows.values_list("arrival", "id")[: KEYS + 1])
    except TooLong as error:
        return refused(request, f"Nothing was done: {error}.")
    more = found[KEYS:]
    ids = [str(id) for _, id in [*sorted(found[:KEYS]), *more]]
    selected = not across(request)
    scope = f"{display.number(len(ids), 'engagement')} selected one by one" if selected else _in_words(changelist)
    return _shown(request, Action.REPLAY, ids, scope=scope, selected=selected, left_out=len(checked) - len(ids))


def on_queue(request: HttpRequest, name: str) -> HttpResponse:
    """The same for purging a queue. Raises NotFound."""
    operation = operations.prepare_queue(name, actor=request.user.get_username())
    if not operation.shown:
        messages.warning(request, f"Nothing is pending in {name}: there is nothing to purge.")
        return HttpResponseRedirect(addresses.listing("worker"))
    return HttpResponseRedirect(_address(operation, addresses.listing("worker")))


def back_of(request: HttpRequest, operation: Operation) -> str:
    """The list that the operation was begun from; never another site."""
    wanted = request.GET.get(BACK, "")
    if wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return wanted
    if operation.queue:
        return addresses.listing("worker")
    return addresses.listing("engagement" if operation.action == Action.REPLAY else "pipeline")


def refused(request: HttpRequest, text: str) -> HttpResponse:
    """Back to the list, with a message."""
    messages.warning(request, text)
    return HttpResponseRedirect(request.get_full_path())


def _shown(
    request: HttpRequest, action: str, keys: Sequence[str], *, scope: str, selected: bool, left_out: int
) -> HttpResponse:
    if not keys:
        return refused(request, f"Nothing was {DONE[Action(action)]}: {_NOTHING[Action(action)]}.")
    operation = operations.prepare(action, keys, scope=scope, actor=request.user.get_username(), selected=selected)
    if selected and left_out > 0:
        messages.info(request, f"{left_out:,} of the selected left out: {_LEFT_OUT[Action(action)]}.")
    return HttpResponseRedirect(_address(operation, request.get_full_path()))


_NOTHING = {
    Action.PURGE: "nothing is pending there",
    Action.PAUSE: "all of these are paused already",
    Action.RESUME: "none of these is paused",
    Action.REPLAY: "only failed and expired engagements can be",
}

_LEFT_OUT = {
    Action.PURGE: "nothing is pending there",
    Action.PAUSE: "paused already",
    Action.RESUME: "not paused",
    Action.REPLAY: "neither failed nor expired",
}


def _address(operation: Operation, back: str) -> str:
    return f"{addresses.operation(operation.token)}?{urlencode({BACK: back})}"


def _in_words(changelist: ChangeList) -> str:
    """What the filters and the search of a list say."""
    narrowing = [spec for spec in changelist.filter_specs if isinstance(spec, Choice) and spec.chosen() is not None]
    said = [f"{spec.title} {_title(spec)}" for spec in narrowing if not isinstance(spec, SortChoice)]
    if changelist.query.strip():
        said.append(f"search {changelist.query.strip()!r}")
    noun = changelist.opts.verbose_name_plural
    return f"all {noun} that match: {', '.join(said)}" if said else f"all {noun}"


def _title(spec: Choice) -> str:
    return next(str(title) for value, title in spec.lookup_choices if str(value) == spec.chosen())
