"""URLs of the whole site."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver
from django.views.generic import RedirectView
from knox.models import AuthToken

# A key that is added there could never be used: only its hash would be known. create_api_key makes them.
admin.site.unregister(AuthToken)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("favicon.ico", RedirectView.as_view(url=static("engagements/icon.svg"))),
    path("admin/", admin.site.urls),
    path("", include("engagements.api.urls")),
]

# Under /api/ these answer with problem documents, elsewhere with pages.
handler400 = "engagements.api.errors.handler400"
handler403 = "engagements.api.errors.handler403"
handler404 = "engagements.api.errors.handler404"
handler500 = "engagements.api.errors.handler500"
