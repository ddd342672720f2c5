"""Where a webhook may go: the rules for its URL and for the address that is connected to.

Registering a webhook must not let anybody reach this network from inside (server-side request forgery). A
name can answer differently each time, so `check_url` refuses early what is wrong on its face, and
`check_address` decides when the connection is made, about the very address it goes to.

Source of the tables: the IANA special-purpose registries for IPv4 and IPv6 (RFC 6890 and later entries). They
are written out because `ipaddress.is_global` differs between the patch releases of Python 3.11 to 3.13.
A network's own NAT64 prefix cannot be known here; a firewall has to close it.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

_REFUSED_V4 = [
    (IPv4Network(network), reason)
    for network, reason in {
        "0.0.0.0/8": "unspecified",
        "10.0.0.0/8": "private",
        "100.64.0.0/10": "shared address space of carriers (CGNAT)",
        "127.0.0.0/8": "loopback",
        "168.63.129.16/32": "metadata service of a cloud",
        "169.254.0.0/16": "link-local",
        "172.16.0.0/12": "private",
        "192.0.0.0/24": "reserved",
        "192.0.2.0/24": "reserved for documentation",
        "192.88.99.0/24": "6to4 relay",
        "192.168.0.0/16": "private",
        "198.18.0.0/15": "reserved for benchmarks",
        "198.51.100.0/24": "reserved for documentation",
        "203.0.113.0/24": "reserved for documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
    }.items()
]

_REFUSED_V6 = [
    (IPv6Network(network), reason)
    for network, reason in {
        "::/128": "unspecified",
        "::1/128": "loopback",
        "64:ff9b:1::/48": "NAT64 of a local network",
        "2001::/32": "Teredo tunnel",
        "2001::/23": "reserved",
        "2001:db8::/32": "reserved for documentation",
        "2002::/16": "6to4 tunnel",
        "3fff::/20": "reserved for documentation",
        "fc00::/7": "private",
        "fe80::/10": "link-local",
        "fec0::/10": "private",
        "ff00::/8": "multicast",
    }.items()
]
"""Tunnels are refused whole: the IPv4 address inside could be any, and no receiver lives at one."""

_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")


class RefusedAddressError(ValueError):
    """A webhook must not go there; the message says why and what would allow it."""


def check_url(url: str, *, allow_private: bool = False) -> None:
    """Refuse a URL that can never work or names a refused address; a host name is judged when connecting.

    Raises RefusedAddressError.
    """
    if any(character <= " " or character in "\\\x7f" for character in url):
        raise RefusedAddressError("the URL holds a space, a control character or a backslash; percent-encode it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RefusedAddressError(f"this is no URL: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise RefusedAddressError("the URL must start with https:// or http://")
    if "@" in parts.netloc:
        raise RefusedAddressError("the URL must not hold a user name or password")
    if port == 0:
        raise RefusedAddressError("port 0 cannot be connected to")
    host = _host(parts)
    literal = _literal(host)
    if allow_private:
        return
    if literal is not None:
        check_address(literal)
    elif host == "localhost" or host.endswith(".localhost"):
        raise RefusedAddressError(_message(host, "loopback"))


def check_address(address: str) -> None:
    """Refuse an address that is not on the public Internet: private, loopback, link-local and so on.

    address: IPv4 or IPv6 as text, a scope (`%eth0`) allowed. Raises RefusedAddressError.
    """
    try:
        reason = _why_refused(ip_address(address))
    except ValueError:
        reason = "not an IP address"
    if reason is not None:
        raise RefusedAddressError(_message(address, reason))


def _message(address: str, reason: str) -> str:
    return f"{address} is refused as a webhook address: {reason} (WEBHOOK_ALLOW_PRIVATE=1 would allow it)"


def _why_refused(address: IPv4Address | IPv6Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((reason for network, reason in _REFUSED_V4 if address in network), None)
    inner = address.ipv4_mapped or (IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
    if inner is not None:
        return _why_refused(inner)
    reason = next((reason for network, reason in _REFUSED_V6 if address in network), None)
    if reason is None and address not in _GLOBAL_UNICAST:
        return "reserved"
    return reason


def _host(parts: SplitResult) -> str:
    """The host in lower case and in its ASCII form, without a final dot."""
    host = parts.hostname
    if not host:
        raise RefusedAddressError("the URL names no host")
    if ":" in host:
        return host
    try:
        host = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise RefusedAddressError(f"{host} is no host name; write an international one in its xn-- form") from None
    if not host or any(character in "!\"$%&'()*+,/:;<=>?[]^`{|}~" for character in host):
        raise RefusedAddressError("the URL names no valid host")
    return host


def _literal(host: str) -> str | None:
    """The host if it is an address, None if it is a name; refuses forms that readers disagree about."""
    if ":" in host:
        try:
            return str(IPv6Address(host))
        except ValueError:
            raise RefusedAddressError(f"{host} is not an IPv6 address") from None
    last = host.rpartition(".")[2]
    if not (last.isdigit() or last.startswith("0x")):
        return None
    try:
        return str(IPv4Address(host))
    except ValueError:
        raise RefusedAddressError(f"{host} is no IPv4 address: write four decimal numbers") from None
