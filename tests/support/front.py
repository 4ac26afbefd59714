"""The HTTP front as a child process that can be stopped and started again on its port."""

import subprocess
import sys
import threading
from pathlib import Path

from deploy.embedded.brokers import free_port

ROOT = Path(__file__).parents[2]


class Front:
    """`python -m deploy.embedded.clickhouse` over one folder."""

    def __init__(self, folder: Path, **options: Path) -> None:
        """options: certfile, keyfile, cafile and config of the command line"""
        self.folder = folder
        self.scheme = "https" if "certfile" in options else "http"
        self._options = [part for name, path in options.items() for part in (f"--{name}", path)]
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"{self.scheme}://default:@127.0.0.1:{self.port}/{database}"

    def start(self) -> "Front":
        command = [sys.executable, "-m", "deploy.embedded.clickhouse", "--path", str(self.folder)]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port), *self._options], cwd=ROOT, stdout=subprocess.PIPE
        )
        watchdog = threading.Timer(60, self._process.kill)
        watchdog.start()
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        watchdog.cancel()
        assert said == f"listening on {self.scheme}://127.0.0.1:{self.port}\n".encode()
        return self

    def stop(self, *, crash: bool = False) -> None:
        if self._process is None:
            return
        if crash:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
