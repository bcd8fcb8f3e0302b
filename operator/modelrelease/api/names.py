"""The names that objects on the cluster carry: group, version, kinds, finalizer, accounts.

One place, because a name that differs by one letter between a manifest, an admission policy and the code fails
silently. Annotations of routes are not here: they belong to routing.
"""

from dataclasses import dataclass

GROUP = "modelrelease.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FINALIZER = f"{GROUP}/traffic"
"""Held until the candidate's share is zero or the route is gone (S12)."""

RELEASE_LABEL = f"{GROUP}/release"
"""The label of revisions and records: the name of their release."""

BUNDLE_LABEL = f"{GROUP}/bundle"
"""The label of bundles: the value of the release header that they belong to."""

CHANGED_BY = f"{GROUP}/changed-by"
UNIT_CHANGED_BY = f"{GROUP}/unit-changed-by"
"""Annotations of a ModelRelease that admission stamps: who changed the spec last, and who changed its unit last."""

SYSTEM_NAMESPACE = "modelrelease-system"
OPERATOR_NAME = "modelrelease-operator"
"""The name of the operator's service account, Deployment and Lease."""

OPERATOR_ACCOUNT = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{OPERATOR_NAME}"
"""The operator's user name, as admission sees it."""


@dataclass(frozen=True, slots=True)
class KindName:
    """How one kind is spelled, and whether its objects live in a namespace."""

    kind: str
    plural: str
    namespaced: bool = True

    @property
    def crd(self) -> str:
        """The name of its CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


MODEL_RELEASE = KindName("ModelRelease", "modelreleases")
RELEASE_REVISION = KindName("ReleaseRevision", "releaserevisions")
RELEASE_DECISION = KindName("ReleaseDecision", "releasedecisions")
RELEASE_EVIDENCE = KindName("ReleaseEvidence", "releaseevidences")
RELEASE_RECORD = KindName("ReleaseRecord", "releaserecords")
METRICS_SOURCE = KindName("MetricsSource", "metricssources", namespaced=False)
GATE_TEMPLATE = KindName("GateTemplate", "gatetemplates")
CLUSTER_GATE_TEMPLATE = KindName("ClusterGateTemplate", "clustergatetemplates", namespaced=False)
RELEASE_POLICY = KindName("ReleasePolicy", "releasepolicies", namespaced=False)
