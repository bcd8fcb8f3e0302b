"""A stand-in model server that answers with the prompt of the release that the request header names.

It reads the release's bundle from the API server, once per release, because bundles never change. A stand-in knows no
language: `behaviour.json` in the prompt says how well it does with it. Without a bundle it fails, as an application
without its prompt would.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiohttp import web

from modelrelease.controller.kube import CONFIG_MAPS, Kube
from modelrelease.sandbox.modelserver import NO_RELEASE, RELEASE_HEADER, Behaviour, ModelServer

PROMPT_KEY, BEHAVIOUR_KEY = "prompt.system.txt", "prompt.behaviour.json"


class BundledServer(ModelServer):
    """One model for all releases in a namespace."""

    def __init__(self, name: str, *, kubeconfig: Path, namespace: str, **how: Any) -> None:
        super().__init__(name, **how)
        self._kubeconfig, self._namespace = kubeconfig, namespace
        self._kube: Kube | None = None
        self.prompts: dict[str, str] = {}

    async def predict(self, request: web.BaseRequest) -> web.Response:
        """One answer with the prompt of the request's release."""
        release = request.headers.get(RELEASE_HEADER, "") or NO_RELEASE
        if release != NO_RELEASE and release not in self.prompts and not await self._learn(release):
            self._requests.labels(release, "500").inc()
            return web.json_response({"server": self.name, "release": release, "answer": "no bundle"}, status=500)
        return await super().predict(request)

    def answer(self, release: str, behaviour: Behaviour, body: bytes) -> dict[str, Any]:
        """As always, and what the prompt says."""
        return {**super().answer(release, behaviour, body), "answer": self.prompts.get(release, "")}

    async def _learn(self, release: str) -> bool:
        if self._kube is None:
            self._kube = await Kube(self._kubeconfig).__aenter__()
        found = await self._kube.find(CONFIG_MAPS, self._namespace, f"{release}-bundle")
        if found is None:
            return False
        data = found.get("data") or {}
        self.by_release[release] = self.default.changed(json.loads(data.get(BEHAVIOUR_KEY, "{}")))
        self.prompts[release] = data.get(PROMPT_KEY, "")
        return True
