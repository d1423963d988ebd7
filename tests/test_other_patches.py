"""Other people's patches of Requests work beside the autopatch, in either order."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module

import pytest
import requests
import requests_mock
import responses
import vcr
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from requests_scitokens import memory

patch = import_module("requests_scitokens.patch")
patch.disable()  # importing it patches


@contextmanager
def autopatch():
    patch.enable()
    try:
        yield
    finally:
        patch.disable()


@contextmanager
def opentelemetry():
    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    try:
        yield lambda: [
            span.attributes["http.status_code"] for span in spans.get_finished_spans()
        ]
    finally:
        RequestsInstrumentor().uninstrument()


@contextmanager
def plain():
    """Patch `__init__` as people do by hand."""
    made, really = [], requests.Session.__init__

    def init(self, *args, **kwargs):
        really(self, *args, **kwargs)
        made.append(self)

    requests.Session.__init__ = init
    try:
        yield lambda: made
    finally:
        requests.Session.__init__ = really


@pytest.fixture(autouse=True)
def unbound(issuer, token_file):
    token_file.write_text(issuer.mint())


@contextmanager
def both(first, second):
    with first() as one, second() as other:
        yield one or other


ORDERS = {
    "theirs first": lambda theirs: both(theirs, autopatch),
    "ours first": lambda theirs: both(autopatch, theirs),
}


@pytest.mark.parametrize("order", ORDERS)
def test_opentelemetry_sees_one_request(serve, order):
    server = serve()
    with ORDERS[order](opentelemetry) as seen:
        assert requests.get(f"{server.url}/hello.txt").ok
        assert seen() == [200]
        patch.disable()
        assert requests.get(f"{server.url}/hello.txt").status_code == 401
        assert seen() == [200, 401]
    assert requests.Session().auth is None


@pytest.mark.parametrize("order", ORDERS)
def test_a_patch_by_hand_sees_every_session(serve, order):
    server = serve()
    with ORDERS[order](plain) as made:
        for _ in range(2):  # on and off again
            patch.enable()
            assert requests.get(f"{server.url}/hello.txt").ok
            patch.disable()
            assert requests.get(f"{server.url}/hello.txt").status_code == 401
        assert len(made()) == 4
        patch.enable()
    patch.disable()
    assert requests.Session().auth is None


@pytest.mark.usefixtures("patched")
def test_requests_mock_answers_instead_of_servers():
    with requests_mock.Mocker() as mock:
        mock.get("https://a.example.org/", [{"status_code": 401}, {"text": "mocked"}])
        assert requests.get("https://a.example.org/").status_code == 401
        assert requests.get("https://a.example.org/").text == "mocked"
        mock.get(
            "https://a.example.org/",
            [{"status_code": 401, "headers": {"WWW-Authenticate": "Bearer"}}],
        )
        assert requests.get("https://a.example.org/").status_code == 401


@pytest.mark.usefixtures("patched")
@responses.activate
def test_responses_answers_instead_of_servers():
    responses.get(
        "https://a.example.org/", status=401, headers={"WWW-Authenticate": "Bearer"}
    )
    responses.get("https://b.example.org/", body="mocked")
    assert requests.get("https://a.example.org/").status_code == 401
    assert requests.get("https://b.example.org/").text == "mocked"


@pytest.mark.usefixtures("patched")
def test_vcr_records_and_replays(serve, tmp_path):
    server, cassette = serve(), str(tmp_path / "cassette.yaml")
    for _ in range(2):
        memory.taken.clear()  # as in the next process
        with vcr.use_cassette(cassette, filter_headers=["authorization"]):
            assert requests.get(f"{server.url}/hello.txt").text == "hello\n"
    assert len(server.received) == 2
