"""Servers that keep what they receive, and know of each protocol what the clients ask.

A `Site` is protected, or serves everybody. It takes the clients' own credentials, and the
tokens in `tokens`.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

OWN = {
    "Basic dXNlcjpzZWNyZXQ=",  # user:secret
    "Bearer own-token",
    "own=cookie",
}


class Request(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """What it is answered."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


NOT_FOUND = Reply(404)
REFUSED = Reply(401, b"refused\n", (("WWW-Authenticate", 'Bearer realm="here"'),))


class Site:
    """A server on loopback that speaks one protocol: `with Site(webdav) as site:`."""

    def __init__(self, protocol, *, public=False):
        self.protocol, self.public, self.tokens = protocol, public, set()
        self.received, self.state = [], {}

        class Handler(_Handler):
            site = self

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def forget(self):
        """Be as at the start, and return what was received."""
        received, self.received, self.state = self.received, [], {}
        return received

    def knows(self, headers):
        """Return whether a request has good credentials."""
        given = {headers.get("Authorization"), headers.get("Cookie")}
        return bool(given & {*OWN, *(f"Bearer {token}" for token in self.tokens)})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    site: Site

    def __getattr__(self, name):
        if name.startswith("do_"):  # whatever the method is
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_):
        pass

    def answer(self):
        request = Request(self.command, self.path, dict(self.headers), self.body())
        self.site.received.append(request)
        reply = self.site.protocol(self.site, request)
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


def in_json(what, status=200, *headers):
    kind = ("Content-Type", "application/json")
    return Reply(status, json.dumps(what).encode(), (kind, *headers))


# --- Rucio: a login gives a token, which is good for five requests


def rucio(site, request):
    path, given = request.path.partition("?")[0], request.headers
    login = given.get("X-Rucio-Username"), given.get("X-Rucio-Password")
    if path == "/auth/userpass" and login == ("user", "secret"):
        token = f"rucio-{len(site.state)}"
        site.state[token] = 5
        return Reply(headers=(("X-Rucio-Auth-Token", token),))
    token = given.get("X-Rucio-Auth-Token")
    if token not in site.tokens and not site.state.get(token):
        error = {"ExceptionClass": "CannotAuthenticate", "ExceptionMessage": "refused"}
        return in_json(error, 401, *error.items())
    if token in site.state:
        site.state[token] -= 1
    return {
        ("GET", "/ping"): in_json({"version": "41"}),
        ("GET", "/accounts/whoami"): in_json({"account": "user"}),
        ("GET", "/scopes/"): in_json(["data", "user"]),
        ("POST", "/accounts/user/scopes/new"): in_json("Created", 201),
        ("POST", "/dids/attachments"): in_json("Created", 201),
        ("PUT", "/dids/data/set/status"): in_json("OK"),
        ("DELETE", "/dids/data/set/dids"): in_json("OK"),
        ("GET", "/dids/data/set/dids"): Reply(
            body=b'{"name": "a"}\n{"name": "b"}\n',
            headers=(("Content-Type", "application/x-json-stream"),),
        ),
    }.get((request.method, path), NOT_FOUND)


# --- FTS


def fts3(site, request):
    if not site.public and not site.knows(request.headers):
        return in_json({"message": "refused"}, 401, *REFUSED.headers)
    job = {"job_id": "1", "job_state": "SUBMITTED"}
    return {
        "GET /": in_json({"api": {"major": 3, "minor": 14, "patch": 2}}),
        "GET /whoami": in_json({"user_dn": "/CN=user"}),
        "POST /jobs": in_json(job),
        "GET /jobs/1": in_json(job),
        "DELETE /jobs/1": in_json({**job, "job_state": "CANCELED"}),
    }.get(f"{request.method} /{request.path.lstrip('/')}", NOT_FOUND)


# --- WebDAV: the state is the content of each path; a folder's ends with a slash


def webdav(site, request):
    if not site.public and not site.knows(request.headers):
        return REFUSED
    files, path = site.state, request.path
    files.setdefault("/", b"")
    if request.method in ("PUT", "MKCOL"):
        files[path] = request.body
        return Reply(201)
    if path not in files:
        return NOT_FOUND
    if request.method in ("COPY", "MOVE"):
        files[request.headers["Destination"].removeprefix(site.url)] = files[path]
    if request.method in ("DELETE", "MOVE"):
        del files[path]
    if request.method == "PROPFIND":
        within = files if request.headers["Depth"] == "1" else [path]
        found = "".join(entry(one) for one in within if one.startswith(path))
        return Reply(
            207, b'<D:multistatus xmlns:D="DAV:">%s</D:multistatus>' % found.encode()
        )
    body = files[path] if request.method == "GET" else b""
    return Reply(204 if request.method in ("COPY", "MOVE", "DELETE") else 200, body)


def entry(path):
    kind = "<D:collection/>" if path.endswith("/") else ""
    return (
        f"<D:response><D:href>{path}</D:href><D:propstat><D:prop>"
        f"<D:resourcetype>{kind}</D:resourcetype><D:displayname>{path}</D:displayname>"
        "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    )


# --- tus: the second PATCH fails once


def tus(site, request):
    if not site.public and not site.knows(request.headers):
        return REFUSED
    state = site.state
    if request.method == "POST":
        state.update(body=b"", patches=0)
        return Reply(201, headers=(("Location", f"{site.url}/files/1"),))
    if request.path != "/files/1" or "body" not in state:
        return NOT_FOUND
    if request.method == "PATCH":
        state["patches"] += 1
        if state["patches"] == 2:
            return Reply(500)
        state["body"] += request.body
    offset = ("Upload-Offset", str(len(state["body"])))
    return Reply(204 if request.method == "PATCH" else 200, headers=(offset,))


# --- TAP, of the Virtual Observatory


def tap(site, request):
    if not site.public and not site.knows(request.headers):
        return REFUSED
    path, job = request.path.partition("?")[0], f"{site.url}/tap/async/1"
    phase = site.state.get("phase", "PENDING")
    if (request.method, path) == ("POST", "/tap/async"):
        return Reply(303, headers=(("Location", job),))
    if (request.method, path) == ("POST", "/tap/async/1/phase"):
        site.state["phase"] = "COMPLETED"
        return Reply(303, headers=(("Location", job),))
    if (request.method, path) == ("DELETE", "/tap/async/1"):
        return Reply(303, headers=(("Location", f"{site.url}/tap/async"),))
    return {
        "/tap/capabilities": Reply(body=CAPABILITIES),
        "/tap/sync": Reply(body=TABLE),
        "/tap/async/1": Reply(body=JOB % (phase.encode(), job.encode())),
        "/tap/async/1/results/result": Reply(body=TABLE),
    }.get(path, NOT_FOUND)


CAPABILITIES = b"""<?xml version="1.0"?>
<c:capabilities xmlns:c="http://www.ivoa.net/xml/VOSICapabilities/v1.0"/>"""
TABLE = b"""<?xml version="1.0"?>
<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results"><INFO name="QUERY_STATUS" value="OK"/>
<TABLE><FIELD name="n" datatype="int"/>
<DATA><TABLEDATA><TR><TD>1</TD></TR><TR><TD>2</TD></TR></TABLEDATA></DATA>
</TABLE></RESOURCE></VOTABLE>"""
JOB = b"""<?xml version="1.0"?>
<u:job xmlns:u="http://www.ivoa.net/xml/UWS/v1.0" version="1.1"
 xmlns:xlink="http://www.w3.org/1999/xlink">
<u:jobId>1</u:jobId><u:ownerId>user</u:ownerId><u:phase>%s</u:phase>
<u:executionDuration>600</u:executionDuration>
<u:results><u:result id="result" xlink:href="%s/results/result"/></u:results>
</u:job>"""

PROTOCOLS = {"rucio": rucio, "fts3": fts3, "webdav": webdav, "tus": tus, "pyvo": tap}
