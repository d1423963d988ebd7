"""Fetch a protected file in each of the ways that requests-scitokens has."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from requests_scitokens.testing import Issuer, ProtectedServer

HERE = Path(__file__).parent
TEXT = "hello from behind the token\n"
PLACES = ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "SCITOKEN", "SCITOKEN_FILE", "_CONDOR_CREDS")


def main() -> int:
    """Run the scripts; return 0 if each outcome was the expected one."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Issuer() as issuer,
        ProtectedServer(issuer, {"/data/hello.txt": TEXT.encode()}) as server,
    ):
        token = Path(directory, f"bt_u{os.geteuid()}")
        token.touch(mode=0o600)
        token.write_text(issuer.mint("read:/data"))
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
        }
        url = f"{server.url}/data/hello.txt"
        print(f"A storage server that wants a SciToken now runs at {server.url},")
        print(f"and a token lies where tokens are found: $XDG_RUNTIME_DIR/{token.name}\n")
        print("fetch.py knows only Requests:\n")
        print(*(f"    {line}" for line in _lines("fetch.py")), sep="\n")
        patched = environment | {"REQUESTS_SCITOKENS_AUTOPATCH": "1"}
        outcomes = [
            ("401 Client Error", _run("fetch.py", url, environment)),
            (TEXT, _run("fetch.py", url, patched, "REQUESTS_SCITOKENS_AUTOPATCH=1 ")),
        ]
        print("\nThe two other ways in are in the script:")
        for script in ("with_auth.py", "with_session.py"):
            print()
            print(
                *(
                    f"    {line}"
                    for line in _lines(script)
                    if "Sci" in line or "ses" in line
                ),
                sep="\n",
            )
            outcomes.append((TEXT, _run(script, url, environment)))
    failed = [expected for expected, got in outcomes if expected not in got]
    print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} outcomes as expected")
    return 1 if failed else 0


def _lines(script: str) -> list[str]:
    return HERE.joinpath(script).read_text().splitlines()


def _run(script: str, url: str, environment: dict[str, str], shown: str = "") -> str:
    """Run a script as a user would; show and return the last line that it wrote."""
    print(f"\n$ {shown}python {script} {url}")
    done = subprocess.run(
        [sys.executable, HERE / script, url],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    wrote = (done.stdout or done.stderr).strip().splitlines() or [""]
    print(wrote[-1])
    return wrote[-1] + "\n"


if __name__ == "__main__":
    sys.exit(main())
