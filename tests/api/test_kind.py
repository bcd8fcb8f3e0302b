"""The scripts and releases of examples/kind, as far as they can be tried without a container engine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from modelrelease.api.convert import content_of, release_of
from modelrelease.metrics.presets import preset_specs
from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.accounts import service_account_token
from tests.api.test_manifests import PROJECT, documents

KIND = PROJECT / "examples" / "kind"
NAMESPACE = "modelrelease-demo"


def objects(*kinds: str) -> list[dict[str, Any]]:
    found = [doc for path in sorted(KIND.glob("*.yaml")) for doc in documents(path)]
    return [doc for doc in found if doc["kind"] in kinds]


def script(name: str) -> str:
    return next(doc["data"][name] for doc in objects("ConfigMap") if name in doc["data"])  # type: ignore[no-any-return]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def running(folder: Path, name: str, **environment: str) -> Iterator[None]:
    """One of the scripts as a process."""
    (folder / name).write_text(script(name), encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(folder / name)], env={**os.environ, **environment})
    try:
        yield
    finally:
        process.kill()
        process.wait()


def asked(url: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Status and body, 0 while nobody listens."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def eventually(url: str, wanted: str) -> str:
    """The answer once it holds `wanted`."""
    deadline = time.monotonic() + 60
    while wanted not in (text := asked(url, {})[1]):
        assert time.monotonic() < deadline, text
        time.sleep(0.2)
    return text


def test_the_stand_in_model_and_the_load_work_together(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    model = {"NAME": "v3", "WRONG": "0.5", "FAIL": "0.2", "PORT": str(port)}
    load = {"URL": url, "HOST": "chat.local", "RATE": "100"}
    with running(tmp_path, "model.py", **model), running(tmp_path, "load.py", **load):
        text = eventually(f"{url}/metrics", 'model_answers_total{release="none",verdict="wrong"} 1')
    assert 'verdict="correct"' in text


def test_the_stand_in_model_answers_with_the_prompt_of_each_release_and_fails_without(
    installed: Sandbox, tmp_path: Path
) -> None:
    installed.create_namespace(NAMESPACE)
    token = service_account_token(installed, NAMESPACE, "chat")
    installed.apply(objects("Role", "RoleBinding"))
    prompts = {doc["metadata"]["name"]: doc["data"] for doc in objects("ConfigMap")}
    for version in ("1", "2"):
        content = {f"prompt.{key}": value for key, value in prompts[f"chat-prompt-{version}"].items()}
        metadata = {"name": f"chat-{version}-bundle", "namespace": NAMESPACE}
        installed.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": content})
    for name, value in (("token", token), ("namespace", NAMESPACE), ("ca.crt", installed.ca_file.read_text())):
        (tmp_path / name).write_text(value, encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    model = {"NAME": "v2", "WRONG": "0", "PORT": str(port), "API": installed.api_url, "ACCOUNT": str(tmp_path)}
    with running(tmp_path, "model.py", **model):
        eventually(url, "v2")
        told = [asked(url, {"x-model-release": f"chat-{version}"}) for version in ("1", "2")]
        assert [json.loads(text)["prompt"] for _, text in told] == [
            prompts[f"chat-prompt-{version}"]["system.txt"] for version in ("1", "2")
        ]
        verdicts = {
            version: {json.loads(asked(url, {"x-model-release": f"chat-{version}"})[1])["verdict"] for _ in range(60)}
            for version in ("1", "2")
        }
        assert verdicts == {"1": {"correct"}, "2": {"correct", "wrong"}}
        status, text = asked(url, {"x-model-release": "chat-3"})
        assert status == 500 and "404" in json.loads(text)["error"]
        counted = asked(f"{url}/metrics", {})[1]
    assert 'model_requests_total{release="chat-1",code="200"} 61' in counted
    assert 'model_requests_total{release="chat-3",code="500"} 1' in counted


@pytest.mark.parametrize("doc", objects("ModelRelease"), ids=lambda doc: doc["spec"]["unit"]["version"])
def test_the_releases_convert_without_faults(doc: dict[str, Any]) -> None:
    specs = preset_specs()
    templates: dict[str, Any] = {f"gateway-{name}": specs[f"traefik-{name}"] for name in ("requests", "error-rate")}
    templates |= {found["metadata"]["name"]: found["spec"] for found in objects("GateTemplate")}
    contents = {found["metadata"]["name"]: content_of(found) for found in objects("ConfigMap")}
    doc = {**doc, "metadata": {**doc["metadata"], "uid": "u"}}
    assert release_of(doc, config_maps=contents, templates=templates).faults == ()
