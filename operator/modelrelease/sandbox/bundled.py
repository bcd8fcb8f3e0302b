"""Model servers that answer with the bundle of the release that the request header names (docs/bundles.md).

Each bundle is read from the API server once, because bundles never change. A release whose bundle is not there, or
cannot be followed, gets an error: an answer without its prompt must not look like a good one.

Rejected: mounting the bundles. A new release would need a new pod, and one process could not answer for two of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.kube import Json, KubeClient
from modelrelease.sandbox.modelserver import NO_RELEASE, RELEASE_HEADER, Behaviour, ModelServer

PROMPT_KEY, BEHAVIOUR_KEY = "prompt.system.txt", "prompt.behaviour.json"


class BundleReader(ModelServer):
    """Reads the bundles of the releases in one namespace; what is in them is for `take` to understand."""

    def __init__(self, name: str, *, kubeconfig: Path, namespace: str, **how: Any) -> None:
        """`kubeconfig`: as whom to read. `how`: as for ModelServer."""
        super().__init__(name, **how)
        self._kubeconfig, self._namespace = kubeconfig, namespace
        self._taken: set[str] = set()
        self._reading = asyncio.Lock()

    def take(self, release: str, data: Mapping[str, str]) -> None:
        """Remember what a release's bundle says; ValueError when it cannot be followed."""
        raise NotImplementedError

    async def predict(self, request: web.BaseRequest) -> web.Response:
        """One answer with the bundle of the request's release; without the header as before there were releases."""
        release = request.headers.get(RELEASE_HEADER, "") or NO_RELEASE
        try:
            if release != NO_RELEASE and release not in self._taken:
                await self._learn(release)
        except (ApiError, ValueError) as error:
            self._requests.labels(release, "500").inc()
            said = {"server": self.name, "release": release, "answer": "no bundle", "error": str(error)}
            return web.json_response(said, status=500)
        return await super().predict(request)

    async def _learn(self, release: str) -> None:
        """Read and take the bundle, for all requests that wait for it at once."""
        async with self._reading:
            if release in self._taken:
                return
            found = await asyncio.to_thread(self._read, f"{release}-bundle")
            self.take(release, found.get("data") or {})
            self._taken.add(release)

    def _read(self, name: str) -> Json:
        client = KubeClient.of_kubeconfig(self._kubeconfig)
        return client.get(f"/api/v1/namespaces/{self._namespace}/configmaps/{name}")


class BundledServer(BundleReader):
    """One stand-in model for all releases in a namespace, which answers with the prompt of each.

    A stand-in knows no language: `behaviour.json` in the prompt says how well it does with it.
    """

    def __init__(self, name: str, *, kubeconfig: Path, namespace: str, **how: Any) -> None:
        super().__init__(name, kubeconfig=kubeconfig, namespace=namespace, **how)
        self.prompts: dict[str, str] = {}

    def take(self, release: str, data: Mapping[str, str]) -> None:
        self.by_release[release] = self.default.changed(json.loads(data.get(BEHAVIOUR_KEY, "{}")))
        self.prompts[release] = data.get(PROMPT_KEY, "")

    def answer(self, release: str, behaviour: Behaviour, body: bytes) -> dict[str, Any]:
        """As always, and what the prompt says."""
        return {**super().answer(release, behaviour, body), "answer": self.prompts.get(release, "")}
