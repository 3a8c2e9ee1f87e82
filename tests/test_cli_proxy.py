"""A service that is only to be reached through a proxy, under a certificate of a private authority."""

from pathlib import Path
from urllib.parse import urlsplit

from edge.bench import real, rows, run, web
from edge.tunnels import make_certificates, proxy, tls_front
from test_cli_disk import judged, service

HOST = "api.example.test"  # a name that no resolver knows: whoever looks it up by itself fails
MORE = '[limits]\nrate = "60/3s"\n[polling]\nexpected = "1s"'


def test_a_proxy_and_a_private_authority_of_the_environment_are_used(tmp_path: Path) -> None:
    """With HTTPS_PROXY and SSL_CERT_FILE all goes through the proxy, and the key only inside of TLS."""
    make_certificates(tmp_path, HOST)
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    with service(tmp_path) as address:
        port = urlsplit(address["url"]).port or 0
        with tls_front(tmp_path, port) as tls_port, proxy(tls_port, port) as middle:
            job = real(tmp_path, f"https://{HOST}/v1", more=MORE)
            through = {"HTTPS_PROXY": middle.url, "HTTP_PROXY": middle.url, "NO_PROXY": ""}
            trusted = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
            done = run(job, **through, **trusted)
            heads = b"".join(middle.heads)
            totals = judged(address)
            assert (done.code, done.summary["saved"]) == (0, 3), done
            assert (totals["creates"], totals["duplicate_creates"]) == (3, 0)
            assert b"CONNECT api.example.test:443 " in heads
            assert b"a-secret-key" not in heads
            log = (tmp_path / "job.out/run.log.jsonl").read_text() + done.err + done.out
            assert "proxy-password" not in log


def test_a_certificate_that_nobody_vouches_for_gets_no_key(tmp_path: Path) -> None:
    """Without the authority nothing is sent, not even the key, and nothing counts as created."""
    make_certificates(tmp_path, HOST)
    rows(tmp_path / "rows.jsonl", *web("a"))
    with service(tmp_path) as address:
        port = urlsplit(address["url"]).port or 0
        with tls_front(tmp_path, port) as tls_port, proxy(tls_port, port) as middle:
            job = real(tmp_path, f"https://{HOST}/v1", more='[polling]\nexpected = "100ms"')
            done = run(job, "--max-duration", "6s", HTTPS_PROXY=middle.url, NO_PROXY="")
            totals = judged(address)
    assert (done.code, done.summary["reason"]) == (69, "unavailable"), done
    assert (done.summary["outstanding"], done.summary["in_doubt"]) == (1, 0)
    assert (totals["requests"], totals["creates"]) == (0, 0)
    assert middle.heads
    assert not any(b"a-secret-key" in head for head in middle.heads)
