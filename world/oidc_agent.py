"""oidc-agent with an OpenID provider: the recipes of docs/how-to/oidc-agent.md."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from tests.pages import example
from tests.xrootd import free_port

from .examples import HOME, URL, WATCH, Tester, stopped, storage, write_server
from .frame import (
    Debian,
    FailedError,
    Row,
    all_or,
    debian,
    noted,
    prepared,
)

PAGE = "oidc-agent.md"
LIFETIME = 125  # seconds; the recipe wants tokens of 120, and takes them until 60 are left
SECONDS = 75
SCOPES = "openid offline_access storage.read:/ storage.modify:/"

# What each way does with the recipe's function.
FUNCTION = 'token = TokenFrom("oidc-token", "--time=120", "frames")\n'
LOOPS = {
    "auth=": "import requests\nfrom requests_scitokens import HTTPSciTokenAuth\n"
    "fetch = lambda: requests.get(url, auth=HTTPSciTokenAuth(token))\n",
    "get()": "from requests_scitokens import get\nfetch = lambda: get(url, token=token)\n",
    "Session": "from requests_scitokens import Session\nfetch = Session(token=token).get\n"
    "fetch = lambda get=fetch: get(url)\n",
}


def trixie(row: Row) -> None:
    """Try Debian 13's agent, and the OpenID provider from npm."""
    system = debian("trixie")
    row.version = system.version("oidc-agent-cli")
    ca = trustme.CA()
    with provider(ca) as (issuer, jwks, version):
        row.server += f", oidc-provider {version}"
        with storage(system, issuer, jwks, ca):
            tester = Tester(system, ca)
            agent(tester, issuer)
            try_recipes(row, tester)


@contextmanager
def provider(ca: trustme.CA) -> Iterator[tuple[str, Any, str]]:
    """Run the provider."""
    npm = prepared("npm")
    folder = Path(tempfile.mkdtemp(prefix="provider-"))
    (folder / "node_modules").symlink_to(npm / "node_modules")
    program = shutil.copy(Path(__file__).with_name("provider.mjs"), folder)
    write_server(folder, ca, "localhost")
    about = (npm / "node_modules/oidc-provider/package.json").read_text()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["node", program, folder, str(free_port()), str(LIFETIME)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        line = process.stdout and process.stdout.readline()
        if not line:
            raise FailedError(f"the provider: {(folder / 'log').read_text()[-300:]}")
        said = json.loads(line)
        yield said["issuer"], said["jwks"], json.loads(about)["version"]
    finally:
        stopped(process)


def agent(tester: Tester, issuer: str) -> None:
    """Start the agent, and log in as the account `frames`."""
    started = tester.run("oidc-agent", quiet=False)
    tester.variables |= dict(re.findall(r"(OIDC_SOCK|OIDCD_PID)=([^;]+);", started))
    tester.run(
        f"oidc-gen frames --issuer {issuer} --client-id frames --client-secret secret "
        f"--flow=password --op-username tester --op-password x --scope '{SCOPES}' "
        f"--cp {tester.ca} --pw-env=OIDC_PASSWORD --confirm-default "
        "--redirect-uri http://localhost:4242",
        quiet=False,
        OIDC_PASSWORD="x",  # noqa: S106 - of a store that is gone after the run
    )


def try_recipes(row: Row, tester: Tester) -> None:
    """Run what the page shows, as it stands but for what is printed."""
    row.strangers = row.bad = "(XRootD)"
    done = []
    with noted(row, "unchanged"):
        if (printed := tester.run(example(PAGE, "oidc-token frames"))) != "hello\n":
            raise FailedError(f"it printed {printed!r}")
        done.append("unchanged")
    function = example(PAGE, "class TokenFrom")
    with noted(row, "the recipe of the page"):
        shown = example(PAGE, '"oidc-token", "--time=120"')
        shown = (
            shown.replace("session.get", "response = session.get") + "print(response.text)"
        )
        if (printed := tester.python(f"{function}\n{shown}")) != "hello\n\n":
            raise FailedError(f"it printed {printed!r}")
    programs = {}
    for way, lines in LOOPS.items():
        url = f"url = {URL!r}\n"
        code = "\n".join([function, FUNCTION, url, lines, WATCH.format(seconds=SECONDS)])
        (tester.home / f"{len(programs)}.py").write_text(code)
        command = f"exec python {len(programs)}.py"
        programs[way] = started(tester.system, command, tester.variables)
    renewed = []
    for way, program in programs.items():
        with noted(row, way):
            out, err = program.communicate(timeout=SECONDS + 60)
            if err or out.split("]")[0] != "[200" or int(out.split()[-1]) < 2:
                raise FailedError(f"{out} {err.strip()[-300:]}")
            renewed.append(way)
    done += renewed
    row.ways = all_or(done, ["unchanged", *LOOPS])
    row.renewal = f"{', '.join(renewed)} (with the recipe's function)"
    row.notes.append("the recipes of *Use oidc-agent* run as they stand on the page")


def started(
    system: Debian, command: str, variables: dict[str, str]
) -> subprocess.Popen[str]:
    """Start a program of the tester's."""
    return subprocess.Popen(
        system.command(
            *("setpriv", "--reuid=tester", "--regid=tester", "--init-groups"),
            *("sh", "-c", f"cd {HOME} && {command}"),
        ),
        env={"LANG": "C.UTF-8", **variables},
        cwd=system.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
