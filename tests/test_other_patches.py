"""Other people's patches of Requests work beside the autopatch, in either order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from importlib import import_module

import pytest
import requests
import requests_mock
import responses
import vcr
import wrapt
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from requests_scitokens import _state as state

patch = import_module("requests_scitokens.patch")
patch.disable()  # importing it patches


# --- others: each gives a function that says how many requests it has seen


@contextmanager
def opentelemetry(url, folder):
    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    try:
        yield lambda: len(spans.get_finished_spans())
    finally:
        RequestsInstrumentor().uninstrument()


@contextmanager
def plain(url, folder):
    """Patch `__init__` as people do by hand."""
    made, really = [], requests.Session.__init__

    def init(self, *args, **kwargs):
        really(self, *args, **kwargs)
        made.append(self)

    requests.Session.__init__ = init
    try:
        yield lambda: len(made)
    finally:
        requests.Session.__init__ = really


@contextmanager
def with_wrapt(url, folder):
    made, really = [], vars(requests.Session)["__init__"]

    def init(wrapped, instance, args, kwargs):
        wrapped(*args, **kwargs)
        made.append(instance)

    wrapt.wrap_function_wrapper(requests.Session, "__init__", init)
    try:
        yield lambda: len(made)
    finally:
        requests.Session.__init__ = really


@contextmanager
def mocked(url, folder):
    with requests_mock.Mocker() as mock:
        mock.get(url)
        yield lambda: mock.call_count


@contextmanager
def with_responses(url, folder):
    with responses.RequestsMock() as mock:
        mock.get(url)
        yield lambda: len(mock.calls)


@contextmanager
def replayed(url, folder):
    answer = {
        "status": {"code": 200, "message": "OK"},
        "headers": {},
        "body": {"string": ""},
    }
    question = {"method": "GET", "uri": url, "body": None, "headers": {}}
    interactions = [{"request": question, "response": answer}]
    file = folder / "cassette.json"
    file.write_text(json.dumps({"version": 1, "interactions": interactions}))
    recorder = vcr.VCR(serializer="json", record_mode="none")
    with recorder.use_cassette(str(file), allow_playback_repeats=True) as cassette:
        yield lambda: cassette.play_count


# What these do when they are taken off: they put back what was there before them.
AT_INIT = (plain, with_wrapt)
OTHERS = (opentelemetry, *AT_INIT, mocked, with_responses, replayed)


@pytest.fixture(autouse=True)
def for_any_server(issuer, token_file, monkeypatch):
    token_file.write_text(issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")


@pytest.fixture
def untouched():
    """Put back what others have put back, which may be a wrapper of ours."""
    before = dict(vars(requests.Session))
    yield
    for name, value in before.items():
        if vars(requests.Session)[name] is not value:
            setattr(requests.Session, name, value)


ORDERS = (("ours", "theirs"), ("theirs", "ours"))


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("off", ORDERS)
@pytest.mark.parametrize("on", ORDERS)
@pytest.mark.parametrize("others", OTHERS)
def test_both_work_on_and_off_in_any_order(serve, tmp_path, others, on, off):
    url = f"{serve().url}/hello.txt"
    theirs = others(url, tmp_path)
    switch_on = {"ours": patch.enable, "theirs": theirs.__enter__}
    switch_off = {
        "ours": patch.disable,
        "theirs": lambda: theirs.__exit__(None, None, None),
    }

    seen = {who: switch_on[who]() for who in on}["theirs"]
    try:
        for _ in range(2):
            patch.enable()  # once more
            before = seen()
            assert requests.get(url).ok
            assert seen() == before + 1
        existing = requests.Session()
        assert existing.auth.is_default

        switch_off[off[0]]()
        if off[0] == "ours":
            before = seen()
            requests.get(url)
            assert seen() == before + 1
            assert requests.Session().auth is None
        elif others not in AT_INIT or on[0] == "ours":
            assert requests.get(url).ok
            assert requests.Session().auth.is_default
    finally:
        switch_off[off[1]]()

    for session in existing, requests.Session():
        assert session.get(url).status_code == 401
        request = session.prepare_request(requests.Request("GET", url))
        assert request.hooks == {"response": []}
        session.close()
    assert requests.Session().auth is None


DDTRACE = """
import os, sys
from importlib import import_module
import ddtrace, requests
from ddtrace.contrib.internal.requests.patch import unpatch
from ddtrace.trace import TraceFilter, tracer

class Keep(TraceFilter):
    def process_trace(self, trace):
        seen.extend(span.get_tag("http.status_code") for span in trace)

seen, plain = [], dict(vars(requests.Session))
tracer.configure(trace_processors=[Keep()])
ours = import_module("requests_scitokens.patch")
ours.disable()
switch_on = {"ours": ours.enable, "theirs": lambda: ddtrace.patch(requests=True)}
switch_off = {"ours": ours.disable, "theirs": unpatch}
url, *order = sys.argv[1:]
on, off = order[:2], order[2:]
for who in on:
    switch_on[who]()
print(requests.get(url).status_code, seen)
for who in off:
    switch_off[who]()
    print(requests.get(url).status_code, seen)
print(dict(vars(requests.Session)) == plain)
"""


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="ddtrace has no wheel for it")
@pytest.mark.parametrize("off", ORDERS)
@pytest.mark.parametrize("on", ORDERS)
def test_both_work_with_ddtrace(serve, on, off):
    """In a process of its own: it starts threads, and looks for an agent."""
    silent = dict.fromkeys(
        (
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED",
            "DD_REMOTE_CONFIGURATION_ENABLED",
            "DD_CRASHTRACKING_ENABLED",
        ),
        "false",
    )
    done = subprocess.run(
        [sys.executable, "-c", DDTRACE, f"{serve().url}/hello.txt", *on, *off],
        env={**os.environ, **silent},
        capture_output=True,
        text=True,
        check=False,
    )
    if off[0] == "ours":
        then = ["401 ['200', '401']", "401 ['200', '401']"]
    else:
        then = ["200 ['200']", "401 ['200']"]
    assert done.stdout.splitlines() == ["200 ['200']", *then, "True"], done.stderr


# --- where mocks answer


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
        state.accepted.clear()  # as in the next process
        with vcr.use_cassette(cassette, filter_headers=["authorization"]):
            assert requests.get(f"{server.url}/hello.txt").text == "hello\n"
    assert len(server.received) == 1
