"""``ablate ui``: MLflow's pages on this machine only."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from ablate.errors import AblateError
from ablate.home import Home
from ablate.tracking import QUIET

HOST = "127.0.0.1"


def serve(home: Home, port: int) -> int:
    """Run ``mlflow ui`` on 127.0.0.1 with one worker until it is stopped; its exit code."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if probe.connect_ex((HOST, port)) == 0:
            raise AblateError(
                f"port {port} is taken", place="--port", value=port, hint="choose another --port"
            )
    command = [
        sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port),
        "--workers", "1", "--backend-store-uri", home.mlflow_uri,
        "--default-artifact-root", home.artifacts.as_uri(),
    ]  # fmt: skip
    print(f"MLflow at http://{HOST}:{port} (stop with Ctrl-C)", flush=True)
    process = subprocess.Popen(command, env=os.environ | QUIET)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return 0
