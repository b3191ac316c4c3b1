"""`pulumi-language-python` for a machine without Pulumi's own: runs the program in a process.

The engine takes any executable of that name on PATH. Every run gets a fresh interpreter, as with
the real host, so that no state of one run reaches the next.
"""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2
from serving import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

PROGRAM = Path(__file__).with_name("language_exec.py")
POLICY = Path(__file__).with_name("policy_host.py")

REPORTED = 32
"""Exit code of a program whose error is already shown; Pulumi's own host uses the same."""


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Answers the engine; the program itself runs elsewhere."""

    def Handshake(self, _request: Any, _context: Any) -> Any:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:
        return plugin_pb2.PluginInfo()

    def GetRequiredPlugins(self, _request: Any, _context: Any) -> Any:
        return language_pb2.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, _request: Any, _context: Any) -> Any:
        return language_pb2.GetRequiredPackagesResponse()

    def About(self, _request: Any, _context: Any) -> Any:
        version = ".".join(str(part) for part in sys.version_info[:3])
        return language_pb2.AboutResponse(executable=sys.executable, version=version)

    def RuntimeOptionsPrompts(self, _request: Any, _context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(self, _request: Any, _context: Any) -> Iterator[Any]:
        yield language_pb2.InstallDependenciesResponse(
            stdout=b"the interpreter that runs the tests has everything installed\n"
        )

    def Run(self, request: Any, _context: Any) -> Any:
        encoded = base64.b64encode(request.SerializeToString()).decode()
        engine = sys.argv[-1]
        program = subprocess.run(
            [*shlex.split(os.environ["ENGINE_PYTHON"]), str(PROGRAM), engine],
            input=encoded,
            text=True,
            check=False,
            cwd=request.info.program_directory or request.pwd or None,
            env={**os.environ, "PULUMI_DRY_RUN": str(request.dryRun).lower()},
            # Its output goes where the engine reads this plugin's.
        )
        if program.returncode == 0:
            return language_pb2.RunResponse()
        if program.returncode == REPORTED:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"program ended with code {program.returncode}")

    def RunPlugin(self, request: Any, _context: Any) -> Iterator[Any]:
        """Run a policy pack and hand on what it prints: first of all its port."""
        pack = subprocess.Popen(
            [sys.executable, "-u", str(POLICY), request.info.program_directory],
            cwd=request.pwd,
            env=dict(entry.split("=", 1) for entry in request.env) or None,
            stdout=subprocess.PIPE,
        )
        assert pack.stdout is not None
        for line in pack.stdout:
            yield language_pb2.RunPluginResponse(stdout=line)
        yield language_pb2.RunPluginResponse(exitcode=pack.wait())


def _register(server: grpc.Server) -> None:
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(), server)


if __name__ == "__main__":
    serve(_register)
