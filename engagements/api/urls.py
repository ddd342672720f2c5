"""The paths of the API and of the probes. Whatever else lies under /api/ is answered by a problem document."""

from django.urls import include, path, re_path, register_converter
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from engagements.api import health
from engagements.api.errors import unknown_path
from engagements.api.schema import hooks  # noqa: F401 - registers the key with drf-spectacular
from engagements.api.user_paths import UserIdConverter
from engagements.api.views import channels, engagements, pipelines, queues

register_converter(UserIdConverter, "user_id")

v1 = [
    path("engagements/", engagements.Engagements.as_view()),
    path("engagements/bulk/", engagements.BulkEngagements.as_view()),
    path("engagements/<str:id>/", engagements.OneEngagement.as_view()),
    path("engagements/<str:id>/replay/", engagements.Replay.as_view()),
    path("pipelines/", pipelines.Pipelines.as_view()),
    path("pipelines/<user_id:user_id>/", pipelines.OnePipeline.as_view()),
    path("pipelines/<user_id:user_id>/pause/", pipelines.Pause.as_view()),
    path("pipelines/<user_id:user_id>/resume/", pipelines.Resume.as_view()),
    path("pipelines/<user_id:user_id>/purge/", pipelines.Purge.as_view()),
    path("pipelines/<user_id:user_id>/end-session/", pipelines.EndSession.as_view()),
    path("pipelines/<user_id:user_id>/skip/", pipelines.Skip.as_view()),
    path("pipelines/<user_id:user_id>/order-proof/", pipelines.OrderProof.as_view()),
    path("queues/", queues.Queues.as_view()),
    path("queues/pause/", queues.PauseEverything.as_view()),
    path("queues/resume/", queues.ResumeEverything.as_view()),
    path("queues/<str:name>/purge/", queues.PurgeQueue.as_view()),
    path("channels/", channels.Channels.as_view()),
    path("channels/<str:name>/", channels.OneChannel.as_view()),
    path("channels/<str:name>/rotate-secret/", channels.RotateSecret.as_view()),
]

urlpatterns = [
    path("api/v1/", include(v1)),
    path("api/schema/", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"),
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(
            url_name="schema",
            template_name="engagements/api/docs.html",
            authentication_classes=[],
            permission_classes=[],
        ),
        name="docs",
    ),
    re_path(r"^api/(?P<rest>.*)$", unknown_path),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.prometheus),
]
