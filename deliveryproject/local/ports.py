"""TCP ports on the loopback interface."""

import random
import socket


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    return not obstacle(port)


def obstacle(port: int) -> str:
    """Why no server could listen on this port of 127.0.0.1 now; empty when one could."""
    with socket.socket() as probe:
        # Without this, connections of a server that has just stopped make its port look taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def free_port() -> int:
    """A port to keep for a server.

    Below the range from which systems take the ports of outgoing connections: there, a client that reconnects
    to a server that is down can be given the server's own port and connect to itself, and the server never
    gets it back.
    """
    for _ in range(200):
        port = random.randrange(12_000, 32_000)  # noqa: S311 - no secret
        if is_free(port):
            return port
    raise RuntimeError("No free port between 12000 and 32000 on 127.0.0.1.")
