"""The numbers of fields in protobuf messages: one line for each message.

A line reads ``Message: number name type, ...``. A type is a scalar (string, bytes, int, bool,
double), one of Quantity, IntOrString and Time, or another message; ``[type]`` is a list and
``{type}`` a map from texts.

>>> MESSAGES["ContainerPort"][3]
Field(name='containerPort', type='int', many='')

Source: k8s.io/api/*/generated.proto, k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto.
"""

from __future__ import annotations

from typing import NamedTuple

TABLE = """
ObjectMeta: 1 name string, 2 generateName string, 3 namespace string, 5 uid string, 6 resourceVersion string, 7 generation int, 8 creationTimestamp Time, 9 deletionTimestamp Time, 10 deletionGracePeriodSeconds int, 11 labels {string}, 12 annotations {string}, 13 ownerReferences [OwnerReference], 14 finalizers [string]
OwnerReference: 1 kind string, 3 name string, 4 uid string, 5 apiVersion string, 6 controller bool, 7 blockOwnerDeletion bool
LabelSelector: 1 matchLabels {string}, 2 matchExpressions [LabelSelectorRequirement]
LabelSelectorRequirement: 1 key string, 2 operator string, 3 values [string]
LocalObjectReference: 1 name string
ObjectReference: 1 kind string, 2 namespace string, 3 name string, 4 uid string, 5 apiVersion string, 6 resourceVersion string, 7 fieldPath string
Namespace: 1 metadata ObjectMeta, 2 spec NamespaceSpec
NamespaceSpec: 1 finalizers [string]
ConfigMap: 1 metadata ObjectMeta, 2 data {string}, 3 binaryData {bytes}, 4 immutable bool
Secret: 1 metadata ObjectMeta, 2 data {bytes}, 3 type string, 4 stringData {string}, 5 immutable bool
ServiceAccount: 1 metadata ObjectMeta, 2 secrets [ObjectReference], 3 imagePullSecrets [LocalObjectReference], 4 automountServiceAccountToken bool
TokenRequest: 1 metadata ObjectMeta, 2 spec TokenRequestSpec
TokenRequestSpec: 1 audiences [string], 4 expirationSeconds int
ResourceQuota: 1 metadata ObjectMeta, 2 spec ResourceQuotaSpec
ResourceQuotaSpec: 1 hard {Quantity}, 2 scopes [string]
Service: 1 metadata ObjectMeta, 2 spec ServiceSpec
ServiceSpec: 1 ports [ServicePort], 2 selector {string}, 3 clusterIP string, 4 type string, 5 externalIPs [string], 7 sessionAffinity string, 8 loadBalancerIP string, 9 loadBalancerSourceRanges [string], 10 externalName string, 11 externalTrafficPolicy string, 12 healthCheckNodePort int, 13 publishNotReadyAddresses bool, 17 ipFamilyPolicy string, 18 clusterIPs [string], 19 ipFamilies [string], 20 allocateLoadBalancerNodePorts bool, 21 loadBalancerClass string, 22 internalTrafficPolicy string, 23 trafficDistribution string
ServicePort: 1 name string, 2 protocol string, 3 port int, 4 targetPort IntOrString, 5 nodePort int, 6 appProtocol string
Pod: 1 metadata ObjectMeta, 2 spec PodSpec
PodTemplateSpec: 1 metadata ObjectMeta, 2 spec PodSpec
PodSpec: 1 volumes [Volume], 2 containers [Container], 3 restartPolicy string, 4 terminationGracePeriodSeconds int, 5 activeDeadlineSeconds int, 6 dnsPolicy string, 7 nodeSelector {string}, 8 serviceAccountName string, 9 serviceAccount string, 10 nodeName string, 11 hostNetwork bool, 15 imagePullSecrets [LocalObjectReference], 16 hostname string, 17 subdomain string, 18 affinity Affinity, 19 schedulerName string, 20 initContainers [Container], 21 automountServiceAccountToken bool, 22 tolerations [Toleration], 24 priorityClassName string, 25 priority int, 31 preemptionPolicy string, 32 overhead {Quantity}, 33 topologySpreadConstraints [TopologySpreadConstraint]
Container: 1 name string, 2 image string, 3 command [string], 4 args [string], 5 workingDir string, 6 ports [ContainerPort], 7 env [EnvVar], 8 resources ResourceRequirements, 9 volumeMounts [VolumeMount], 10 livenessProbe Probe, 11 readinessProbe Probe, 13 terminationMessagePath string, 14 imagePullPolicy string, 16 stdin bool, 17 stdinOnce bool, 18 tty bool, 19 envFrom [EnvFromSource], 20 terminationMessagePolicy string, 22 startupProbe Probe, 24 restartPolicy string
ContainerPort: 1 name string, 2 hostPort int, 3 containerPort int, 4 protocol string, 5 hostIP string
EnvVar: 1 name string, 2 value string, 3 valueFrom EnvVarSource
EnvVarSource: 1 fieldRef ObjectFieldSelector, 2 resourceFieldRef ResourceFieldSelector, 3 configMapKeyRef KeySelector, 4 secretKeyRef KeySelector
EnvFromSource: 1 prefix string, 2 configMapRef EnvSource, 3 secretRef EnvSource
EnvSource: 1 localObjectReference LocalObjectReference, 2 optional bool
ObjectFieldSelector: 1 apiVersion string, 2 fieldPath string
ResourceFieldSelector: 1 containerName string, 2 resource string, 3 divisor Quantity
KeySelector: 1 localObjectReference LocalObjectReference, 2 key string, 3 optional bool
ResourceRequirements: 1 limits {Quantity}, 2 requests {Quantity}
VolumeMount: 1 name string, 2 readOnly bool, 3 mountPath string, 4 subPath string, 5 mountPropagation string, 6 subPathExpr string
Volume: 1 name string, 2 volumeSource VolumeSource
VolumeSource: 1 hostPath HostPath, 2 emptyDir EmptyDir, 6 secret SecretVolume, 19 configMap ConfigMapVolume
HostPath: 1 path string, 2 type string
EmptyDir: 1 medium string, 2 sizeLimit Quantity
SecretVolume: 1 secretName string, 2 items [KeyToPath], 3 defaultMode int, 4 optional bool
ConfigMapVolume: 1 localObjectReference LocalObjectReference, 2 items [KeyToPath], 3 defaultMode int, 4 optional bool
KeyToPath: 1 key string, 2 path string, 3 mode int
Probe: 1 handler ProbeHandler, 2 initialDelaySeconds int, 3 timeoutSeconds int, 4 periodSeconds int, 5 successThreshold int, 6 failureThreshold int, 7 terminationGracePeriodSeconds int
ProbeHandler: 1 exec ExecAction, 2 httpGet HTTPGet, 3 tcpSocket TCPSocket, 4 grpc GRPC
ExecAction: 1 command [string]
HTTPGet: 1 path string, 2 port IntOrString, 3 host string, 4 scheme string
TCPSocket: 1 port IntOrString, 2 host string
GRPC: 1 port int, 2 service string
Toleration: 1 key string, 2 operator string, 3 value string, 4 effect string, 5 tolerationSeconds int
TopologySpreadConstraint: 1 maxSkew int, 2 topologyKey string, 3 whenUnsatisfiable string, 4 labelSelector LabelSelector, 5 minDomains int, 6 nodeAffinityPolicy string, 7 nodeTaintsPolicy string, 8 matchLabelKeys [string]
Affinity: 1 nodeAffinity NodeAffinity, 2 podAffinity PodAffinity, 3 podAntiAffinity PodAffinity
NodeAffinity: 1 requiredDuringSchedulingIgnoredDuringExecution NodeSelector, 2 preferredDuringSchedulingIgnoredDuringExecution [PreferredSchedulingTerm]
NodeSelector: 1 nodeSelectorTerms [NodeSelectorTerm]
NodeSelectorTerm: 1 matchExpressions [LabelSelectorRequirement], 2 matchFields [LabelSelectorRequirement]
PreferredSchedulingTerm: 1 weight int, 2 preference NodeSelectorTerm
PodAffinity: 1 requiredDuringSchedulingIgnoredDuringExecution [PodAffinityTerm], 2 preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm]
PodAffinityTerm: 1 labelSelector LabelSelector, 2 namespaces [string], 3 topologyKey string, 4 namespaceSelector LabelSelector, 5 matchLabelKeys [string], 6 mismatchLabelKeys [string]
WeightedPodAffinityTerm: 1 weight int, 2 podAffinityTerm PodAffinityTerm
Deployment: 1 metadata ObjectMeta, 2 spec DeploymentSpec
DeploymentSpec: 1 replicas int, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 strategy DeploymentStrategy, 5 minReadySeconds int, 6 revisionHistoryLimit int, 7 paused bool, 9 progressDeadlineSeconds int
DeploymentStrategy: 1 type string, 2 rollingUpdate RollingUpdate
RollingUpdate: 1 maxUnavailable IntOrString, 2 maxSurge IntOrString
ReplicaSet: 1 metadata ObjectMeta, 2 spec ReplicaSetSpec
ReplicaSetSpec: 1 replicas int, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 minReadySeconds int
Job: 1 metadata ObjectMeta, 2 spec JobSpec
JobSpec: 1 parallelism int, 2 completions int, 3 activeDeadlineSeconds int, 4 selector LabelSelector, 5 manualSelector bool, 6 template PodTemplateSpec, 7 backoffLimit int, 8 ttlSecondsAfterFinished int, 9 completionMode string, 10 suspend bool
CronJob: 1 metadata ObjectMeta, 2 spec CronJobSpec
CronJobSpec: 1 schedule string, 2 startingDeadlineSeconds int, 3 concurrencyPolicy string, 4 suspend bool, 5 jobTemplate JobTemplateSpec, 6 successfulJobsHistoryLimit int, 7 failedJobsHistoryLimit int, 8 timeZone string
JobTemplateSpec: 1 metadata ObjectMeta, 2 spec JobSpec
PodDisruptionBudget: 1 metadata ObjectMeta, 2 spec PodDisruptionBudgetSpec
PodDisruptionBudgetSpec: 1 minAvailable IntOrString, 2 selector LabelSelector, 3 maxUnavailable IntOrString, 4 unhealthyPodEvictionPolicy string
PriorityClass: 1 metadata ObjectMeta, 2 value int, 3 globalDefault bool, 4 description string, 5 preemptionPolicy string
CrossVersionObjectReference: 1 kind string, 2 name string, 3 apiVersion string
autoscaling/v1.HorizontalPodAutoscaler: 1 metadata ObjectMeta, 2 spec HPASpecV1
HPASpecV1: 1 scaleTargetRef CrossVersionObjectReference, 2 minReplicas int, 3 maxReplicas int, 4 targetCPUUtilizationPercentage int
autoscaling/v2.HorizontalPodAutoscaler: 1 metadata ObjectMeta, 2 spec HPASpecV2
HPASpecV2: 1 scaleTargetRef CrossVersionObjectReference, 2 minReplicas int, 3 maxReplicas int, 4 metrics [MetricSpec], 5 behavior HPABehavior
MetricSpec: 1 type string, 2 object ObjectMetricSource, 3 pods PodsMetricSource, 4 resource ResourceMetricSource, 5 external ExternalMetricSource, 7 containerResource ContainerResourceMetricSource
ObjectMetricSource: 1 describedObject CrossVersionObjectReference, 2 target MetricTarget, 3 metric MetricIdentifier
PodsMetricSource: 1 metric MetricIdentifier, 2 target MetricTarget
ExternalMetricSource: 1 metric MetricIdentifier, 2 target MetricTarget
ResourceMetricSource: 1 name string, 2 target MetricTarget
ContainerResourceMetricSource: 1 name string, 2 target MetricTarget, 3 container string
MetricIdentifier: 1 name string, 2 selector LabelSelector
MetricTarget: 1 type string, 2 value Quantity, 3 averageValue Quantity, 4 averageUtilization int
HPABehavior: 1 scaleUp HPAScalingRules, 2 scaleDown HPAScalingRules
HPAScalingRules: 1 selectPolicy string, 2 policies [HPAScalingPolicy], 3 stabilizationWindowSeconds int, 4 tolerance Quantity
HPAScalingPolicy: 1 type string, 2 value int, 3 periodSeconds int
SelfSubjectAccessReview: 1 metadata ObjectMeta, 2 spec AccessReviewSpec
SubjectAccessReview: 1 metadata ObjectMeta, 2 spec SubjectAccessReviewSpec
AccessReviewSpec: 1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes
SubjectAccessReviewSpec: 1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes, 3 user string, 4 groups [string]
ResourceAttributes: 1 namespace string, 2 verb string, 3 group string, 4 version string, 5 resource string, 6 subresource string, 7 name string
NonResourceAttributes: 1 path string, 2 verb string
SelfSubjectRulesReview: 1 metadata ObjectMeta, 2 spec RulesReviewSpec
RulesReviewSpec: 1 namespace string
SelfSubjectReview: 1 metadata ObjectMeta
"""  # noqa: E501 - a table: one message a line

# These messages have no name of their own in JSON: their fields stand in the one around them.
EMBEDDED = frozenset({"localObjectReference", "volumeSource", "handler"})


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        name: in JSON.
        type: a scalar, a special type or a message.
        many: "list", "map" or "".
    """

    name: str
    type: str
    many: str


def parse_table(text: str) -> dict[str, dict[int, Field]]:
    """The fields of each message by number.

    >>> parse_table("Pair: 1 key string, 2 values [int]")["Pair"][2]
    Field(name='values', type='int', many='list')
    """
    found: dict[str, dict[int, Field]] = {}
    for line in filter(None, text.splitlines()):
        name, _, rest = line.partition(": ")
        fields = found[name] = {}
        for entry in rest.split(", "):
            number, field, kind = entry.split(" ")
            many = {"[": "list", "{": "map"}.get(kind[0], "")
            fields[int(number)] = Field(field, kind.strip("[]{}"), many)
    return found


MESSAGES = parse_table(TABLE)
