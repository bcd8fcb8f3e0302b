"""Errors of the API server as one sentence for whoever typed the command: the object, what is wrong, and the mend.

Must know nothing about single commands. Rejected: passing the server's words on as they are. They name a URL path, and
never what to do.
"""

import re
from collections.abc import Mapping

from modelrelease.cli.exits import EXIT_DENIED, EXIT_ERROR, EXIT_NOT_FOUND, MAY_READ
from modelrelease.controller.kube import ApiError, Denied, NotFound, Unavailable

KINDS: Mapping[str, str] = {
    "modelreleases": "ModelRelease",
    "releaserevisions": "ReleaseRevision",
    "releaserecords": "ReleaseRecord",
    "httproutes": "HTTPRoute",
    "metricssources": "MetricsSource",
}

_SENT = re.compile(r"(?P<verb>[A-Z]+) (?P<path>/\S*): (?P<said>.*)", re.DOTALL)
_PLACE = re.compile(
    r"/apis?/(?:[^/]+/)?v\w+/(?:namespaces/(?P<namespace>[^/]+)/)?(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?"
)
_UNKNOWN_KIND = "could not find the requested resource"
_BY_POLICY = "denied request: "


def explained(error: ApiError) -> tuple[int, str]:
    """The exit code and the sentence."""
    sent = _SENT.fullmatch(error.message)
    verb, path, said = (sent["verb"], sent["path"], sent["said"]) if sent else ("", "", error.message)
    match error:
        case NotFound():
            return EXIT_NOT_FOUND, _not_there(path, said)
        case Denied():
            return EXIT_DENIED, _denied(error.status, verb, path, said)
        case Unavailable(status=0):
            return EXIT_ERROR, _silent(said)
        case ApiError(reason="NoCluster"):
            return EXIT_ERROR, said
    return EXIT_ERROR, f"{error.reason or f'HTTP {error.status}'}: {said}"


def _not_there(path: str, said: str) -> str:
    place = _PLACE.match(path)
    if place is None:
        return said
    plural, name, namespace = place["plural"], place["name"], place["namespace"]
    if _UNKNOWN_KIND in said:
        return f"this cluster does not know {plural}: install the CRDs (kubectl apply --server-side -k manifests)"
    if not name:
        return said
    where, option = (f" in namespace {namespace}", f" -n {namespace}") if namespace else ("", "")
    return f"there is no {KINDS.get(plural, plural)} {name}{where}: kubectl get {plural}{option} lists those there are"


def _denied(status: int, verb: str, path: str, said: str) -> str:
    if status == 401:
        return f"the API server does not accept your credentials ({said}): log in anew, or check KUBECONFIG"
    if _BY_POLICY in said:
        return said.partition(_BY_POLICY)[2]
    place = _PLACE.match(path)
    namespace = (place["namespace"] if place else None) or "the namespaces that you need"
    if verb == "GET":
        return f"{said}; {MAY_READ.format(namespace)}"
    if place is not None and place["plural"] == "releasedecisions":
        return f"{said}; ask for the ClusterRole modelrelease-decide in {namespace}"
    return said


def _silent(said: str) -> str:
    text = re.sub(r" ssl:\S+ \[(.*)\]", r" (\1)", said)
    which = "KUBECONFIG, --kubeconfig or --context"
    return f"the API server: {text}; is the cluster up, and is it the one that {which} means?"
