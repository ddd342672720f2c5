"""A browser's part in the admin console, without the browser: it logs in and sends forms."""

import re
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class AdminSession:
    """The admin at `url`, as one person uses it."""

    def __init__(self, url: str, *, name: str, password: str) -> None:
        self.url = url
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        login = "/admin/login/?next=/admin/"
        where, _ = self._send(login, username=name, password=password)
        assert where == f"{url}/admin/", "not logged in"

    def add_engagement(self, user: str, *, channel: str, payload: str = "{}") -> None:
        """Fill in the form that adds an engagement, with no produce time, and send it."""
        page = "/admin/engagements/engagement/add/"
        where, text = self._send(page, user_id=user, channel=channel, payload=payload)
        assert where != self.url + page, f"refused: {re.findall('errorlist.*?</ul>', text, re.DOTALL)}"

    def open(self, page: str) -> str:
        """What a page shows. Raises HTTPError when it is refused."""
        return self._open(page)[1]

    def send(self, page: str, **fields: str) -> str:
        """Fill in the form of a page and send it; the path of the page that it led to."""
        where, text = self._send(page, **fields)
        assert "errornote" not in text, f"refused: {re.findall('errorlist.*?</ul>', text, re.DOTALL)}"
        return where.removeprefix(self.url)

    def _send(self, page: str, **fields: str) -> tuple[str, str]:
        """Open the page and send its form; where that led, and what was shown there."""
        token = _TOKEN.search(self._open(page)[1])
        assert token is not None, f"no form on {page}"
        return self._open(page, urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode())

    def _open(self, page: str, data: bytes | None = None) -> tuple[str, str]:
        request = urllib.request.Request(self.url + page, data)  # noqa: S310 - the test's own server
        with self._opener.open(request, timeout=30) as answer:
            return answer.url, answer.read().decode()
