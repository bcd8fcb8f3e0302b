"""A stand-in model server as a process, with bundles or without.

Run as `python -m modelrelease.sandbox.serving --host 127.96.0.10 --port 8080 --name v1`.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelrelease.sandbox.bundled import BundledServer
from modelrelease.sandbox.modelserver import Behaviour, ModelServer, serve


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", required=True, help="loopback address, usually the ClusterIP of a sandbox Service")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", required=True, help="what the answers call this server")
    parser.add_argument("--control-port", type=int, help="port for GET and PUT /behaviour (default: no control)")
    parser.add_argument("--seed", type=int, help="make failures and wrong answers repeatable")
    parser.add_argument("--bundles-kubeconfig", type=Path, help="answer with the prompts in the releases' bundles")
    parser.add_argument("--bundles-namespace", help="where those releases are")
    for field in dataclasses.fields(Behaviour):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    given = vars(parser.parse_args(argv))
    behaviour = Behaviour(**{field.name: given[field.name] for field in dataclasses.fields(Behaviour)})
    server = _server(given, behaviour)
    asyncio.run(serve(server, host=given["host"], port=given["port"], control_port=given["control_port"]))


def _server(given: Mapping[str, Any], behaviour: Behaviour) -> ModelServer:
    if given["bundles_kubeconfig"] is None:
        return ModelServer(given["name"], behaviour=behaviour, seed=given["seed"])
    place = {"kubeconfig": given["bundles_kubeconfig"], "namespace": given["bundles_namespace"]}
    return BundledServer(given["name"], behaviour=behaviour, seed=given["seed"], **place)


if __name__ == "__main__":
    main()
