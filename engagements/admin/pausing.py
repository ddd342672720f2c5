"""Pausing everything and resuming it, from the page of the queues: with a confirmation and a reason."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from engagements import services
from engagements.admin import addresses
from engagements.admin.confirmation import Confirmation, confirm
from engagements.admin.read_only import Base, permitted
from engagements.domain.errors import EngagementsError
from engagements.models import Worker
from engagements.selectors import everything

PAUSE = [
    "No pipeline starts anything from then on, also of users who are new: whatever their number, at once.",
    "Attempts that run may finish. Deadlines stand still, so nothing ordered expires meanwhile.",
    "Unordered engagements go on being delivered, and everything is still accepted.",
]

RESUME = [
    "Every pending deadline moves by the time it stood still, and the users go on, in the order of their ids.",
    "Pipelines that were paused on their own stay paused.",
    "What takes longer than a second is finished by the workers, whether this page stays open or not.",
]


def pause_everything(request: HttpRequest, model_admin: "Base[Worker]") -> HttpResponse:
    here = _permitted(request)
    if everything.state() is not None:
        messages.warning(request, "Everything is paused already.")
        return here
    reason = confirm(request, model_admin, Confirmation("Pause everything?", "Pause everything", PAUSE, back=here.url))
    if isinstance(reason, HttpResponse):
        return reason
    try:
        services.pause_everything(actor=request.user.get_username(), reason=reason)
    except EngagementsError as error:
        messages.error(request, f"Nothing was paused: {error}.")
    else:
        messages.success(request, "Everything is paused: nothing starts, and the deadlines stand still.")
    return here


def resume_everything(request: HttpRequest, model_admin: "Base[Worker]") -> HttpResponse:
    here = _permitted(request)
    if everything.state() is None:
        messages.warning(request, "Everything runs already.")
        return here
    reason = confirm(
        request, model_admin, Confirmation("Resume everything?", "Resume everything", RESUME, back=here.url)
    )
    if isinstance(reason, HttpResponse):
        return reason
    services.resume_everything(actor=request.user.get_username(), reason=reason)
    left = everything.state()
    messages.success(request, "Everything goes on." if left is None else "Users go on, one after the other.")
    return here


def _permitted(request: HttpRequest) -> HttpResponseRedirect:
    """Where both lead back to. Raises PermissionDenied."""
    if not permitted(request, "operate_pipeline"):
        raise PermissionDenied
    return HttpResponseRedirect(addresses.listing("worker"))
