"""python -m requests_scitokens.testing: a protected server to try things with."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from . import ANSWERS, Fault, Issuer, ProtectedServer

#: What `--fault` may name.
FAULTS = {
    "429": Fault(429, retry_after=1),
    "503": Fault(503, retry_after=1),
    "hang-up": Fault(hang_up="before"),
    "slow": Fault(delay=5),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Start an issuer and a server, say how to use them, and stay until Ctrl-C.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(
        prog="python -m requests_scitokens.testing",
        description="Starts a SciTokens issuer and a protected server on this machine, and "
        "stays until Ctrl-C.",
    )
    parser.add_argument(
        "directory",
        nargs="?",
        metavar="DIR",
        type=Path,
        help="what is served (default: one file, hello.txt)",
    )
    parser.add_argument(
        "--answer", choices=sorted(ANSWERS), default="bearer", help="how it refuses"
    )
    parser.add_argument(
        "--fault",
        choices=FAULTS,
        action="append",
        default=[],
        help="what goes wrong with the first request; if given again, with the next one",
    )
    options = parser.parse_args(arguments)
    if options.directory is not None and not options.directory.is_dir():
        parser.error(f"DIR: {options.directory} is not a directory")
    files = options.directory or {"/hello.txt": b"hello from behind the token\n"}
    with (
        tempfile.TemporaryDirectory() as folder,
        Issuer() as issuer,
        ProtectedServer(issuer, files, answer=options.answer) as server,
    ):
        certificate, token = Path(folder, "ca.pem"), Path(folder, "token")
        server.faults.extend(FAULTS[name] for name in options.fault)
        server.write_ca(certificate)
        token.touch(mode=0o600)
        token.write_text(issuer.mint("read:/ write:/", audience=server.url, lifetime=86400))
        sys.stdout.write(
            f"{server.url}{'' if options.directory else '/hello.txt'}\n"
            f"export REQUESTS_CA_BUNDLE={shlex.quote(str(certificate))}\n"
            f"export BEARER_TOKEN_FILE={shlex.quote(str(token))}\n"
        )
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` is Ctrl-C, too
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
