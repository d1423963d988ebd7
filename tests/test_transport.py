"""What a retry keeps: streaming, timeouts, certificates, proxies, hooks, history."""

from __future__ import annotations

import ssl
import time

import proxy
import pytest
import requests

import requests_scitokens
from requests_scitokens.testing import Answer, Redirect


@pytest.fixture(autouse=True)
def unbound(issuer, token_file):
    token_file.write_text(issuer.mint())


class Recorder(requests.adapters.HTTPAdapter):
    """Writes down what each send is given."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def send(self, request, **kwargs):
        self.sent.append(kwargs)
        return super().send(request, **kwargs)


def test_the_retry_is_sent_with_the_same_settings(serve, trusted):
    server, recorder = serve(), Recorder()
    with requests_scitokens.Session() as session:
        session.mount("https://", recorder)
        response = session.get(
            f"{server.url}/hello.txt",
            stream=True,
            timeout=(3, 4),
            verify=str(trusted),
            proxies={"ftp": "http://127.0.0.1:1"},
        )
        assert not response._content_consumed
        assert response.content == b"hello\n"
    first, second = recorder.sent
    assert first == second
    assert (first["stream"], first["timeout"], first["verify"]) == (
        True,
        (3, 4),
        str(trusted),
    )


def test_the_retry_uses_the_same_connection(serve):
    server = serve()
    with requests_scitokens.Session() as session:
        assert session.get(f"{server.url}/hello.txt", stream=True).ok
        (pool,) = session.adapters["https://"].poolmanager.pools._container.values()
        assert (pool.num_requests, pool.num_connections) == (2, 1)


def test_the_retry_shows_the_clients_certificate(serve, issuer, trusted):
    server = serve(answer="xrootd")  # which hangs up after a refusal
    server._listener.context.verify_mode = ssl.CERT_REQUIRED
    issuer.ca.configure_trust(server._listener.context)
    url = f"{server.url}/hello.txt"
    with pytest.raises(requests.ConnectionError):
        requests_scitokens.get(url)
    mine = issuer.ca.issue_cert("client.example.org")
    with mine.private_key_and_cert_chain_pem.tempfile() as cert:
        assert requests_scitokens.get(url, cert=cert).ok
    assert [one.status for one in server.received] == [403, 200]


def test_a_timeout_stops_the_retry(serve):
    server = serve(answer="storm")

    def slow(token):
        time.sleep(0.5)
        return False

    server.rejects = slow
    with pytest.raises(requests.Timeout):
        requests_scitokens.get(f"{server.url}/hello.txt", timeout=0.2)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("to_proxy", ["http", "https"])
# Requests does not check the certificate of a proxy on the way to plain http.
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_proxy_is_used_for_the_retry_too(serve, issuer, tmp_path, scheme, to_proxy):
    server = serve(tls=scheme == "https")
    arguments = ["--hostname", "127.0.0.1", "--port", "0", "--log-level", "ERROR"]
    arguments += ["--num-workers", "1", "--num-acceptors", "1"]
    if to_proxy == "https":
        own = issuer.ca.issue_cert("localhost")
        own.private_key_pem.write_to_path(tmp_path / "key.pem")
        own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        arguments += ["--key-file", str(tmp_path / "key.pem")]
        arguments += ["--cert-file", str(tmp_path / "cert.pem")]
    with proxy.Proxy(arguments) as between:
        proxies = {scheme: f"{to_proxy}://localhost:{between.flags.port}"}
        response = requests_scitokens.get(f"{server.url}/hello.txt", proxies=proxies)
        assert response.content == b"hello\n"
    assert [one.status for one in server.received] == [401, 200]
    with pytest.raises(requests.exceptions.ProxyError):
        requests_scitokens.get(f"{server.url}/hello.txt", proxies=proxies)


def test_redirects_are_not_followed_if_the_caller_says_so(serve):
    server = serve()
    server.redirects["/moved"] = Redirect(f"{server.url}/hello.txt")
    response = requests_scitokens.get(f"{server.url}/moved", allow_redirects=False)
    assert (response.status_code, response.next.url) == (307, f"{server.url}/hello.txt")


def test_a_hook_of_the_callers_own_sees_the_final_response_only(serve):
    seen = []

    def raise_for_status(response, **kwargs):
        seen.append(response.status_code)
        response.raise_for_status()

    server = serve()
    hooks = {"response": raise_for_status}
    assert requests_scitokens.get(f"{server.url}/hello.txt", hooks=hooks).ok
    with requests_scitokens.Session() as session:
        session.hooks["response"].append(raise_for_status)
        assert session.get(f"{server.url}/hello.txt").ok
        with pytest.raises(requests.HTTPError, match="404"):
            session.get(f"{server.url}/missing")
    assert seen == [200, 200, 404]


def test_history_elapsed_and_cookies_are_those_of_both_exchanges(serve):
    server = serve(answer=Answer(cookie="session=1"))
    server.redirects["/moved"] = Redirect(f"{server.url}/hello.txt")
    started = time.perf_counter()
    with requests_scitokens.Session() as session:
        response = session.get(f"{server.url}/hello.txt")
        assert [one.status_code for one in response.history] == [401]
        assert response.history[0].content == b"refused\n"
        assert 0 < response.elapsed.total_seconds() < time.perf_counter() - started
        assert dict(session.cookies) == {"session": "1"}
        assert response.request.url == response.url == f"{server.url}/hello.txt"
        moved = session.get(f"{server.url}/moved")
        assert [one.status_code for one in moved.history] == [307]


def test_a_refusal_that_breaks_off_is_answered_all_the_same(serve):
    """A body shorter than its Content-Length."""
    server = serve(answer=Answer(body=b""))
    handler = server._listener.RequestHandlerClass
    really = handler.reply

    def reply(self, status, body=b"", *fields, **kwargs):
        if status == 401:
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\nshort")
        else:
            really(self, status, body, *fields, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "reply", reply)
        with requests_scitokens.get(f"{server.url}/hello.txt", stream=True) as response:
            assert response.ok
