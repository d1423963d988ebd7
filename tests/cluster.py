"""A Dask cluster on loopback, of processes that are started as on a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

AUTOPATCH = {"REQUESTS_SCITOKENS_AUTOPATCH": "1"}


class Cluster:
    """A scheduler and workers, started as on a cluster, and all that they log."""

    def __init__(self, folder, level="debug"):
        self.scheduler_file = folder / "scheduler.json"
        self._folder, self._level, self._processes = folder, level, []

    def __enter__(self):
        self._start("scheduler", "--port", "0")
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self, command, *options, nanny=None):
        path = self._folder / f"dask-{len(self._processes)}.yaml"
        config = {"logging": {"": self._level}, "distributed": {"nanny": nanny or {}}}
        path.write_text(json.dumps(config))  # which is YAML, too
        with path.with_suffix(".log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [
                        *(sys.executable, "-m", "dask", command, *options),
                        *("--scheduler-file", self.scheduler_file),
                        *("--host", "127.0.0.1", "--no-dashboard"),
                    ],
                    env={**os.environ, "DASK_CONFIG": str(path)},
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def start_workers(self, name, count, **nanny):
        options = "--name", name, "--nworkers", str(count), "--nthreads", "1"
        self._start("worker", *options, nanny=nanny)

    def log(self):
        return "".join(path.read_text() for path in self._folder.glob("dask-*.log"))

    def close(self):
        for process in reversed(self._processes):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):  # what it has left behind, if anything
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
