"""Asks the web server whether everything runs."""

import http.client


def answer(port: int, host: str) -> tuple[int, str]:
    """The status of GET /readyz on 127.0.0.1, and the body or the error; status 0 when nothing answers.

    host: a name that ALLOWED_HOSTS lets in.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz", headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()
