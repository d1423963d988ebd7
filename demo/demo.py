"""Fetch a protected file in each of the ways that requests-scitokens has."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from requests_scitokens.testing import Issuer, ProtectedServer

HERE = Path(__file__).parent
TEXT = "hello from behind the token\n"
REFUSED = "401 Client Error"
PLACES = ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "SCITOKEN", "SCITOKEN_FILE", "_CONDOR_CREDS")
ON = {"REQUESTS_SCITOKENS_AUTOPATCH": "1"}


def main() -> int:
    """Run the scripts; return 0 if each outcome was the expected one."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Issuer() as issuer,
        ProtectedServer(issuer, {"/data/hello.txt": TEXT.encode()}) as server,
    ):
        token = Path(directory, f"bt_u{os.geteuid()}")
        token.touch(mode=0o600)
        authority = Path(directory, "ca.pem")
        server.write_ca(authority)
        environment = {
            name: value for name, value in os.environ.items() if name not in PLACES
        }
        environment |= {
            "XDG_RUNTIME_DIR": directory,
            "REQUESTS_CA_BUNDLE": str(authority),
            "REQUESTS_SCITOKENS_AUTOPATCH": "",
            "REQUESTS_SCITOKENS_HOSTS": "",
            "REQUESTS_SCITOKENS_LOG": "",
        }
        url = f"{server.url}/data/hello.txt"
        outcomes = []

        def run(script: str, expected: str, **variables: str) -> None:
            """Run a script as a user would; show what it wrote."""
            wrote = _output(script, url, environment, variables)
            print(*wrote, sep="\n")
            outcomes.append(expected.strip() in wrote[-1])

        print(f"A storage server that wants a SciToken now runs at {server.url},")
        print(f"and a token is where tokens are found: $XDG_RUNTIME_DIR/{token.name}\n")
        print("fetch.py knows only Requests:\n")
        _show("fetch.py")

        print("\n1. The token is for this server: its audience is the server's address.")
        token.write_text(issuer.mint("read:/data", audience=server.url))
        run("fetch.py", REFUSED)
        run("fetch.py", TEXT, **ON)

        print("\n2. The token is for any server, as most tokens are.")
        print("   The autopatch sends it only to the servers that you list.")
        token.write_text(issuer.mint("read:/data", audience="ANY"))
        run("fetch.py", REFUSED, **ON)
        listed = server.url.removeprefix("https://")
        run("fetch.py", TEXT, REQUESTS_SCITOKENS_HOSTS=listed, **ON)

        print("\n3. The two other ways in are in the script:")
        for script in ("with_auth.py", "with_session.py"):
            print()
            _show(script, "Sci", "ses")
            run(script, TEXT)
    print(f"\n{sum(outcomes)} of {len(outcomes)} outcomes as expected")
    return 0 if all(outcomes) else 1


def _show(script: str, *words: str) -> None:
    """Show a script, or its lines that have one of these words."""
    for line in HERE.joinpath(script).read_text().splitlines():
        if not words or any(word in line for word in words):
            print(f"    {line}".rstrip())


def _output(
    script: str, url: str, environment: dict[str, str], variables: dict[str, str]
) -> list[str]:
    """Run a script; return the lines that it wrote, without the traceback's."""
    shown = "".join(f"{name}={value} " for name, value in variables.items())
    print(f"\n$ {shown}python {script} {url}", flush=True)
    done = subprocess.run(
        [sys.executable, HERE / script, url],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [*done.stderr.splitlines(), *done.stdout.splitlines()]
    return [line for line in lines if not line.startswith(("Traceback", " "))] or [""]


if __name__ == "__main__":
    sys.exit(main())
