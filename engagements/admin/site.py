"""The name of the product on the admin, where the project has not given one of its own, and the index page."""

from django.contrib import admin
from django.contrib.admin import AdminSite

from engagements.admin.login import ThrottledLogin

PRODUCT = "Ordered delivery"


def name_site(site: AdminSite) -> None:
    """Leave alone what the project that embeds this app has named and dressed itself."""
    if site.site_header == AdminSite.site_header:
        site.site_header = PRODUCT
        site.site_title = PRODUCT
        site.site_url = None  # nothing is there to view beside the admin
        site.index_title = "Overview"
    if site.login_form is None:
        site.login_form = ThrottledLogin
    if site.index_template is None:
        site.index_template = "engagements/admin/index.html"


name_site(admin.site)
