"""Serves one version of the digit model: trains it at the start, then answers a digit for each image.

The sandbox's model server with a real model inside. How it looks at a picture is the prompt of the release that the
request names, from that release's bundle: one process answers for every release of its model. It never sees a label:
those go to the feedback service, which knows nothing of models. Rejected: counting wrong answers here; a server that
is told the truth could cheat.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from modelrelease.demo.digits import RECIPES, train
from modelrelease.demo.instruction import Instruction, read_instruction
from modelrelease.sandbox.bundled import BundleReader
from modelrelease.sandbox.modelserver import Behaviour, serve

PIXELS = 64
UNIT_KEY, INSTRUCTION_KEY = "unit.json", "prompt.instruction.yaml"


class DigitServer(BundleReader):
    """POST `{"input": [64 pixels]}` → `{"answer": "7", …}`. `model` is a fitted estimator of the version `name`."""

    def __init__(self, name: str, model: Any, *, kubeconfig: Path, namespace: str) -> None:
        super().__init__(name, kubeconfig=kubeconfig, namespace=namespace, seed=0)
        self._model = model
        self._instructions: dict[str, tuple[str, Instruction]] = {}

    def take(self, release: str, data: Mapping[str, str]) -> None:
        """The version and the instruction in a bundle; ValueError when it is for another model."""
        unit = json.loads(data.get(UNIT_KEY, "{}"))
        model = unit.get("parts", {}).get("model", {}).get("fields", {}).get("version")
        if model != self.name:
            raise ValueError(f"{release} is for model {model}, and this is {self.name}")
        self._instructions[release] = unit["version"], read_instruction(data.get(INSTRUCTION_KEY, ""))

    def called(self, release: str) -> str:
        """The version of the unit that answers: the model's own where a request names no release."""
        version, _ = self._instructions.get(release, (self.name, None))
        return version

    def answer(self, release: str, behaviour: Behaviour, body: bytes) -> dict[str, Any]:
        """The digit that the model sees; 400 when the body is no image."""
        _, instruction = self._instructions.get(release, ("", Instruction()))
        try:
            seen = instruction.seen(json.loads(body)["input"])
        except (ValueError, KeyError, TypeError):
            seen = []
        if len(seen) != PIXELS:
            raise web.HTTPBadRequest(text=f'send {{"input": [{PIXELS} numbers from 0 to 16]}}')
        return {"answer": str(self._model.predict([seen])[0])}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", required=True, help="loopback address, usually the ClusterIP of a sandbox Service")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control-port", type=int, help="port for GET and PUT /behaviour (default: no control)")
    parser.add_argument("--version", required=True, choices=sorted(RECIPES))
    parser.add_argument("--bundles-kubeconfig", type=Path, required=True, help="who reads the releases' bundles")
    parser.add_argument("--bundles-namespace", required=True, help="where those releases are")
    given = parser.parse_args()
    place = {"kubeconfig": given.bundles_kubeconfig, "namespace": given.bundles_namespace}
    server = DigitServer(given.version, train(given.version), **place)
    asyncio.run(serve(server, host=given.host, port=given.port, control_port=given.control_port))


if __name__ == "__main__":
    main()
