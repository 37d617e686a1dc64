"""Which zero values carry no meaning in a protobuf message, and which Go writes in every object.

Go holds an optional field by value or by pointer. A field held by value is always on the wire, so
that its zero says nothing, and JSON leaves it out. A field held by pointer is on the wire only if
it was set, so that its zero is meant: ``replicas: 0``, ``automountServiceAccountToken: false``,
``storageClassName: ""``. Neither the OpenAPI document nor the `.proto` files say which is which;
this table does, for the API types of Kubernetes 1.34.

Numbers and booleans are taken to be pointers unless they are listed here; strings are taken to be
values unless they are listed here. Required fields always keep their zero.

Source: k8s.io/api/*/*/types.go, apimachinery/pkg/apis/meta/v1/types.go,
apiextensions-apiserver/pkg/apis/apiextensions/v1/types_jsonschema.go.
"""

from __future__ import annotations

# Numbers and booleans held by value, by name of the field.
_VALUES = """
    active authenticated availableReplicas chapAuthDiscovery chapAuthSession clusterScope code count
    currentReplicas denied deprecated deprecatedCount exclusiveMaximum exclusiveMinimum failed
    failureThreshold fullyLabeledReplicas generation globalDefault handSize healthCheckNodePort
    hostIPC hostNetwork hostPID hostPort initialDelaySeconds insecureSkipTLSVerify
    matchingPrecedence minReadySeconds nodePort nullable number numberAvailable numberUnavailable
    observedGeneration paused periodSeconds preserveUnknownFields publishNotReadyAddresses
    queueLengthLimit queues readOnly readyReplicas retryAfterSeconds signal sizeBytes sslEnabled
    start stdin stdinOnce succeeded successThreshold tty unavailableReplicas uniqueItems
    unschedulable updatedNumberScheduled updatedReplicas x-kubernetes-embedded-resource
    x-kubernetes-int-or-string
    """
VALUES = frozenset(_VALUES.split())
# Fields that share their name with one of VALUES, or with a pointer, but are held otherwise.
POINTERS_ALL_THE_SAME = frozenset(
    {
        ("AzureDiskVolumeSource", "readOnly"),
        ("CSIVolumeSource", "readOnly"),
        ("HorizontalPodAutoscalerStatus", "observedGeneration"),
        ("VolumeNodeResources", "count"),
    }
)
VALUES_ALL_THE_SAME = frozenset(
    {
        ("AWSElasticBlockStoreVolumeSource", "partition"),
        ("CustomResourceColumnDefinition", "priority"),
        ("DeploymentStatus", "replicas"),
        ("GCEPersistentDiskVolumeSource", "partition"),
        ("Probe", "timeoutSeconds"),
    }
)
# Strings held by pointer, by name of the field.
_POINTER_STRINGS = """
    apiGroup appProtocol cachingMode completionMode containerName
    currentVolumeAttributesClassName driverName error failurePolicy fsGroupChangePolicy
    fsGroupPolicy gmsaCredentialSpec gmsaCredentialSpecName holderIdentity hostnameOverride
    ingressClassName internalTrafficPolicy ipFamilyPolicy ipMode loadBalancerClass
    localhostProfile managedBy matchPolicy mountPropagation nodeAffinityPolicy nodeTaintsPolicy
    parameterNotFoundAction pathType persistentVolumeName podReplacementPolicy preemptionPolicy
    preferredHolder procMount propagationPolicy reclaimPolicy recursiveReadOnly
    reinvocationPolicy resourceClaimName resourceClaimTemplateName runAsUserName
    runtimeClassName seLinuxChangePolicy selectPolicy sideEffects storageClassName strategy
    supplementalGroupsPolicy targetVolumeAttributesClassName timeZone trafficDistribution
    unhealthyPodEvictionPolicy url volumeAttributesClassName volumeBindingMode volumeMode
    x-kubernetes-list-type x-kubernetes-map-type $ref
    """
POINTER_STRINGS = frozenset(_POINTER_STRINGS.split())
POINTER_STRINGS_OF = frozenset(
    {
        ("CSIVolumeSource", "fsType"),
        ("Container", "restartPolicy"),
        ("EphemeralContainerCommon", "restartPolicy"),
        ("Endpoint", "hostname"),
        ("Endpoint", "nodeName"),
        ("Endpoint", "zone"),
        ("EndpointPort", "name"),
        ("EndpointPort", "protocol"),
        ("GRPCAction", "service"),
        ("HostPathVolumeSource", "type"),
        ("IngressClassParametersReference", "namespace"),
        ("IngressClassParametersReference", "scope"),
        ("NetworkPolicyPort", "protocol"),
        ("PodDNSConfigOption", "value"),
        ("Preconditions", "resourceVersion"),
        ("Preconditions", "uid"),
        ("Rule", "scope"),
        ("ServiceReference", "path"),
        ("TypedObjectReference", "namespace"),
        ("Validation", "reason"),
        ("ValidationRule", "reason"),
    }
)
VALUE_STRINGS_OF = frozenset(
    {
        ("PersistentVolumeSpec", "storageClassName"),
        ("ResourceClaimConsumerReference", "apiGroup"),
        ("ResourceFieldSelector", "containerName"),
        ("Subject", "apiGroup"),
        ("core.EndpointPort", "name"),
        ("core.EndpointPort", "protocol"),
    }
)


# Structures of optional fields that are held by value: they are there even if they are empty.
_STRUCTURES = """
    acceptedNames daemonEndpoints deprecatedSource kubeletEndpoint lastState limitResponse
    loadBalancer metadata nodeInfo preferredVersion regarding source spec state status strategy
    updateStrategy userInfo
    """
STRUCTURES = frozenset(_STRUCTURES.split())
STRUCTURES_OF = frozenset(
    {
        ("AllocationResult", "devices"),
        ("Container", "resources"),
        ("Endpoint", "conditions"),
        ("EphemeralContainer", "resources"),
        ("IngressServiceBackend", "port"),
        ("NetworkPolicySpec", "podSelector"),
        ("PersistentVolumeClaimSpec", "resources"),
        ("PodTemplate", "template"),
        ("ReplicaSetSpec", "template"),
        ("ResourceClaimSpec", "devices"),
        ("TokenReviewStatus", "user"),
    }
)
POINTER_STRUCTURES_OF = frozenset(
    {("CustomResourceSubresources", "status"), ("IPAddressSpec", "parentRef")}
)


def is_always_present(type_name: str, field: str, required: bool) -> bool:
    """Whether Go writes a structure, list or map in every object of its type, empty or null.

    Args:
        type_name: component name of the type.
        field: JSON name of the field.
        required: whether the OpenAPI document demands the field; such a field has no ``omitempty``.

    >>> is_always_present("io.k8s.api.core.v1.Container", "resources", False)
    True
    >>> is_always_present("io.k8s.api.core.v1.Container", "securityContext", False)
    False
    """
    key = (type_name.rpartition(".")[2], field)
    if key in POINTER_STRUCTURES_OF:
        return False
    return required or field in STRUCTURES or key in STRUCTURES_OF


def is_dropped(type_name: str, field: str, scalar: str, required: bool) -> bool:
    """Whether the zero value of a field says nothing, and is left out of the document.

    Args:
        type_name: component name of the type.
        field: JSON name of the field.
        scalar: ``string``, ``bytes``, ``bool``, ``int32``, ``int64`` or ``double``.
        required: whether the OpenAPI document demands the field.

    >>> is_dropped("io.k8s.api.core.v1.PodSpec", "hostNetwork", "bool", False)
    True
    >>> is_dropped("io.k8s.api.apps.v1.DeploymentSpec", "replicas", "int32", False)
    False
    """
    if required:
        return False
    *_, group, _, short = type_name.split(".")
    keys = {(short, field), (f"{group}.{short}", field)}
    if scalar == "bytes":
        return True
    if scalar == "string":
        pointer = field in POINTER_STRINGS or bool(keys & POINTER_STRINGS_OF)
        return not pointer or bool(keys & VALUE_STRINGS_OF)
    if keys & POINTERS_ALL_THE_SAME:
        return False
    return field in VALUES or bool(keys & VALUES_ALL_THE_SAME)
