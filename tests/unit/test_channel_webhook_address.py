"""A webhook reaches nothing but the public Internet, however its address is written."""

import pytest

from engagements.domain.webhook_address import RefusedAddressError, check_address, check_url

REFUSED = {
    "0.0.0.0": "unspecified",  # noqa: S104
    "0.1.2.3": "unspecified",
    "10.0.0.1": "private",
    "100.64.0.1": "CGNAT",
    "100.100.100.200": "CGNAT",
    "100.127.255.255": "CGNAT",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "metadata",
    "169.254.169.254": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "reserved",
    "192.0.2.1": "documentation",
    "192.88.99.1": "6to4",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "reserved",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:10.0.0.1": "private",
    "::ffff:a9fe:a9fe": "link-local",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::169.254.169.254": "link-local",
    "64:ff9b:1::1.1.1.1": "NAT64",
    "100::1": "reserved",
    "2001:0:53aa:64c:0:fbff:53cf:9d1e": "Teredo",
    "2001:2::1": "reserved",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4",
    "2002:0808:0808::1": "6to4",
    "3fff::1": "documentation",
    "4000::1": "reserved",
    "5f00::1": "reserved",
    "fc00::1": "private",
    "fd00:ec2::254": "private",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "private",
    "ff02::1": "multicast",
    "nonsense": "not an IP address",
}

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "168.63.129.17",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "198.20.0.0",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize(("address", "reason"), REFUSED.items())
def test_an_address_that_is_not_public_is_refused_with_its_reason(address: str, reason: str) -> None:
    with pytest.raises(RefusedAddressError, match=reason):
        check_address(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("address", [address for address in REFUSED if address != "nonsense" and "%" not in address])
def test_a_url_with_a_refused_address_is_refused_at_creation_unless_private_is_allowed(address: str) -> None:
    url = f"https://[{address}]:8443/hook" if ":" in address else f"https://{address}:8443/hook"
    with pytest.raises(RefusedAddressError, match="WEBHOOK_ALLOW_PRIVATE"):
        check_url(url)
    check_url(url, allow_private=True)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "https://"),
        ("example.com/hook", "https://"),
        ("//example.com/hook", "https://"),
        ("ftp://example.com/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("javascript:alert(1)", "https://"),
        ("unix:///tmp/socket", "https://"),
        ("https://", "no host"),
        ("https:///path", "no host"),
        ("https://:8000/", "no host"),
        ("https://user@example.com/", "user name"),
        ("https://user:word@example.com/", "user name"),
        ("https://example.com@127.0.0.1/", "user name"),
        ("https://@example.com/", "user name"),
        ("https://example.com:0/", "port 0"),
        ("https://example.com:99999/", "no URL"),
        ("https://example.com:x/", "no URL"),
        ("https://[::1/", "no URL"),
        ("https://exa mple.com/", "control character"),
        (" https://example.com/", "control character"),
        ("https://example.com/\r\nX: y", "control character"),
        ("https://example.com\\@127.0.0.1/", "backslash"),
        ("https://2130706433/", "four decimal"),
        ("https://127.1/", "four decimal"),
        ("https://0x7f.0.0.1/", "four decimal"),
        ("https://0x7f000001/", "four decimal"),
        ("https://0177.0.0.1/", "four decimal"),
        ("https://127.0.0.0x1/", "four decimal"),
        ("https://1.2.3.4.5/", "four decimal"),
        ("https://256.1.1.1/", "four decimal"),
        ("https://a..b/", "host name"),
        ("https://" + "a" * 64 + ".com/", "host name"),
        ("https://ex*mple.com/", "valid host"),
        ("https://example.com%2f@x/", "user name"),
        ("https://127.0.0.1%2f/", "valid host"),
    ],
)
def test_a_url_that_can_never_work_is_refused_whatever_is_allowed(url: str, reason: str) -> None:
    for allow_private in (False, True):
        with pytest.raises(RefusedAddressError, match=reason):
            check_url(url, allow_private=allow_private)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://LOCALHOST:8000/",
        "http://localhost./",
        "http://a.localhost/",
        "http://127.0.0.1./",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127\u30020\u30020\u30021/",
    ],
)
def test_another_spelling_of_this_machine_is_refused_too(url: str) -> None:
    with pytest.raises(RefusedAddressError, match="loopback"):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com:8080/hook?key=value#part",
        "https://EXAMPLE.com./hook",
        "https://bücher.example/hook",
        "https://xn--bcher-kva.example/hook",
        "https://1.1.1.1/hook",
        "https://[2606:4700:4700::1111]/hook",
        "https://my_service.example.com/hook",
        "https://1.example/",
    ],
)
def test_a_public_url_passes(url: str) -> None:
    check_url(url)
