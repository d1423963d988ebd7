"""Which servers there are to try; runs them, and writes down what came of it."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from . import (
    apache,
    gwdatafind,
    htcondor,
    htgettoken,
    nginx,
    oidc_agent,
    redirector,
    report,
    xrootd,
)
from .frame import AbsentError, FailedError, Row

RESULTS = Path(__file__).with_name("results.json")

# Of the user's environment; the programs get one of their own.
UNWANTED = {
    "BEARER_TOKEN",
    "BEARER_TOKEN_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "SCITOKEN",
    "SCITOKEN_FILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "_CONDOR_CREDS",
}


class Check(NamedTuple):
    """A server, what has to be prepared for it, and how it is tried."""

    server: str
    needs: tuple[str, ...]
    run: Callable[[Row], None]


CHECKS = {
    "xrootd": Check("XRootD", (), xrootd.here),
    "xrootd-trixie": Check("XRootD", ("trixie",), xrootd.trixie),
    "xrootd-forky": Check("XRootD", ("forky",), xrootd.forky),
    "redirector-trixie": Check("XRootD redirector", ("trixie",), redirector.trixie),
    "redirector-forky": Check("XRootD redirector", ("forky",), redirector.forky),
    "gwdatafind": Check("gwdatafind-server", (), gwdatafind.here),
    "nginx": Check("nginx", ("forky",), nginx.forky),
    "apache-oauth20": Check("Apache", ("forky",), apache.oauth20),
    "apache-auth-openidc": Check("Apache", ("forky",), apache.auth_openidc),
    "oidc-agent": Check("oidc-agent", ("trixie", "npm"), oidc_agent.trixie),
    "htgettoken": Check("htgettoken", ("trixie",), htgettoken.trixie),
    "htcondor-forky": Check("HTCondor", ("forky",), htcondor.new),
    "htcondor-trixie": Check("HTCondor", ("trixie",), htcondor.old),
}
NAMES = tuple(CHECKS)
NEEDS = {name: check.needs for name, check in CHECKS.items()}


def chosen(words: list[str]) -> list[str]:
    """Return the names that begin with one of these words; all if there are none."""
    return [name for name in NAMES if not words or name.startswith(tuple(words))]


def run(names: list[str]) -> int:
    """Try these servers, one after the other; return 0 if all did as expected."""
    failed = False
    for name in names:
        check = CHECKS[name]
        row = Row(check.server)
        began = time.monotonic()
        absent = ""
        try:
            check.run(row)
        except AbsentError as reason:
            absent = str(reason)
        except FailedError as error:
            row.failures.append(str(error))
        except Exception as error:  # noqa: BLE001 - the other servers are tried, too
            traceback.print_exc()
            row.failures.append(f"{type(error).__name__}: {error}")
        date = datetime.now(timezone.utc).date().isoformat()
        result = {**asdict(row), "absent": absent, "date": date}
        failed |= bool(row.failures)
        took = time.monotonic() - began
        outcome = absent or "; ".join(row.failures) or "as expected"
        print(f"{name}: {row.server} {row.version}: {outcome} ({took:.0f} s)", flush=True)
        write(name, result)
    return int(failed)


def write(name: str, result: dict[str, object]) -> None:
    """Add a result to those of earlier runs."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = result
    ordered = {one: results[one] for one in NAMES if one in results}
    RESULTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    report.write(ordered)
