"""Turns a layout and the programs into files on disk and Parts that can be started.

Must not start anything. Rejected: doing this in `Sandbox`, which people read to learn what they can do with it.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from modelrelease.sandbox import access, parts, prometheus
from modelrelease.sandbox.kube import KubeClient
from modelrelease.sandbox.parts import Layout, Port
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.tools import ETCD, KUBE_APISERVER, PROMETHEUS, TRAEFIK

ANSWER_TIMEOUT_S = 2.0
# etcd and the API server would wait many seconds for their clients' open watches; nothing is lost by not waiting.
STOP_TIMEOUT_S = 2.0
MINIMAL_PATH = "/usr/local/bin:/usr/bin:/bin"


def write_files(layout: Layout, *, tokens: Mapping[str, str], scrape_interval_s: float, with_traefik: bool) -> None:
    """Everything the programs read at their start; secrets are readable by their owner only."""
    layout.audit_policy.write_text(yaml.safe_dump(dict(access.AUDIT_POLICY)))
    write_secret(layout.token_file, access.token_file(tokens))
    write_secret(layout.service_account_key, access.ec_private_key_pem())
    layout.prometheus_config.write_text(
        prometheus.configuration(
            scrape_interval_s=scrape_interval_s,
            traefik_address=layout.address(Port.TRAEFIK_METRICS) if with_traefik else None,
            targets_file=layout.scrape_targets,
        )
    )


def write_secret(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.write_text(content)


def assemble(
    layout: Layout, *, programs: Mapping[str, Path], client: KubeClient, traefik_token: str
) -> dict[str, Part]:
    """One Part per program, by name. `client` asks the API server whether it is ready."""
    # The caller's environment stays outside: it may hold TRAEFIK_… or ETCD_… variables, which outrank flags.
    environment = {"PATH": MINIMAL_PATH, "HOME": str(layout.folder)}

    def part(name: str, argv: list[str], ready: Callable[[], bool]) -> Part:
        log = layout.folder / f"{name}.log"
        return Part(name, argv, log=log, ready=ready, env=environment, stop_timeout_s=STOP_TIMEOUT_S)

    made = {}
    for name, program in programs.items():
        if name == ETCD.name:
            made[name] = part(name, parts.etcd_argv(program, layout), _answers(layout.url(Port.ETCD) + "/health"))
        elif name == KUBE_APISERVER.name:
            made[name] = part(name, parts.apiserver_argv(program, layout), client.ready)
        elif name == PROMETHEUS.name:
            ready = _answers(layout.url(Port.PROMETHEUS) + "/-/ready")
            made[name] = part(name, parts.prometheus_argv(program, layout), ready)
        elif name == TRAEFIK.name:
            ready = _answers(layout.url(Port.TRAEFIK_METRICS) + "/ping")
            made[name] = part(name, parts.traefik_argv(program, layout, token=traefik_token), ready)
    return made


def _answers(url: str) -> Callable[[], bool]:
    """A check that `url` answers 200. Proxies of the environment are not asked: this is loopback."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def check() -> bool:
        try:
            with opener.open(url, timeout=ANSWER_TIMEOUT_S) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False

    return check
