"""Serves one version of the digit model: trains it at the start, then answers a digit for each image.

The sandbox's model server with a real model inside. It never sees a label: those go to the feedback service, which
knows nothing of models. Rejected: counting wrong answers here; a server that is told the truth could cheat.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from aiohttp import web

from modelrelease.demo.digits import RECIPES, scaled, train
from modelrelease.sandbox.modelserver import Behaviour, ModelServer, serve

PIXELS = 64


class DigitServer(ModelServer):
    """POST `{"input": [64 pixels]}` → `{"answer": "7", …}`. `model` is a fitted estimator."""

    def __init__(self, name: str, model: Any) -> None:
        super().__init__(name, seed=0)
        self._model = model

    def answer(self, release: str, behaviour: Behaviour, body: bytes) -> dict[str, Any]:
        """The digit that the model sees; 400 when the body is no image."""
        try:
            pixels = scaled(json.loads(body)["input"])
        except (ValueError, KeyError, TypeError):
            pixels = []
        if len(pixels) != PIXELS:
            raise web.HTTPBadRequest(text=f'send {{"input": [{PIXELS} numbers from 0 to 16]}}')
        return {"answer": str(self._model.predict([pixels])[0])}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", required=True, help="loopback address, usually the ClusterIP of a sandbox Service")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control-port", type=int, help="port for GET and PUT /behaviour (default: no control)")
    parser.add_argument("--version", required=True, choices=sorted(RECIPES))
    given = parser.parse_args()
    server = DigitServer(given.version, train(given.version))
    asyncio.run(serve(server, host=given.host, port=given.port, control_port=given.control_port))


if __name__ == "__main__":
    main()
