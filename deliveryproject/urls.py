"""URLs of the whole site."""

from django.contrib import admin
from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver
from django.views.generic import RedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include("engagements.api.urls")),
]

# Under /api/ these answer with problem documents, elsewhere with pages.
handler400 = "engagements.api.errors.handler400"
handler403 = "engagements.api.errors.handler403"
handler404 = "engagements.api.errors.handler404"
handler500 = "engagements.api.errors.handler500"
