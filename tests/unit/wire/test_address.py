"""Addresses of upstreams: what may be one, and which lead to a machine's own secrets."""

from __future__ import annotations

import pytest

from dragoman.wire import address


@pytest.mark.parametrize(
    "url",
    ["https://api.openai.com/v1", "http://127.0.0.1:8080/backend-api", "http://[::1]:9/v1", "http://host/v1"],
)
def test_ordinary_addresses_are_good(url: str) -> None:
    assert address.problem(url) is None
    assert address.forbidden(url) is None


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("ftp://host/v1", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("host/v1", "http or https"),
        ("", "http or https"),
        ("http://", "http or https"),
        ("http://host:0/v1", "http or https"),
        ("http://host:99999/v1", "http or https"),
        ("http://[::1/v1", "http or https"),
        ("http://ho st/v1", "http or https"),
        ("http://user:word@host/v1", "no user name"),
        ("http://host/v1?a=b", "before any ?"),
        ("http://host/v1#a", "before any ?"),
    ],
)
def test_what_is_no_upstreams_address(url: str, word: str) -> None:
    found = address.problem(url)
    assert found is not None and word in found


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.0.1",
        "169.254.170.2",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "METADATA.google.internal.",
        "metadata",
        "100.100.100.200",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.16689662",
    ],
)
def test_metadata_and_link_local_addresses_are_forbidden_however_they_are_spelt(host: str) -> None:
    why = address.forbidden(f"http://{host}/latest")
    assert why is not None
    assert "metadata" in why or "link-local" in why


@pytest.mark.parametrize(
    "host", ["1.2.3.4.5", "300.1.1.1", "0xzz", "09", "127.1", "10.0.0.1", "a.b", "4294967296"]
)
def test_other_hosts_are_not(host: str) -> None:
    assert address.forbidden(f"http://{host}/") is None
