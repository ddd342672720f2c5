"""Stands in for the broker when none is known: publishing fails at once with a message that says why."""

from typing import Never

from kombu.transport import TRANSPORT_ALIASES, memory


class Transport(memory.Transport):
    """A transport that never connects."""

    connection_errors = (ConnectionError,)

    def establish_connection(self) -> Never:
        """Raises ConnectionError, as a broker that is down does."""
        raise ConnectionError("No broker: run `make up`, or set BROKER_URL.")


URL = "nobroker://"

TRANSPORT_ALIASES["nobroker"] = "deliveryproject.no_broker:Transport"
