"""Webhooks and admission policies: defaults, rules, cells, and warnings of what they would judge.

Source: pkg/apis/admissionregistration/validation/validation.go, v1/defaults.go,
k8s.io/apiserver/pkg/admission/plugin/webhook/predicates.
"""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_pod, labelled
from kind_samples import ADMISSION, MUTATING, RULE, causes_of, sample

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.printers.table import table_for
from kubesim.errors import Invalid

Fields = dict[str, Any]
CLIENT = {"service": {"namespace": "default", "name": "hook"}}


def webhook(name: str = "a.example.com", **fields: Any) -> Fields:
    """One valid webhook, but for these fields; None: the field is missing."""
    hook: Fields = {
        "name": name,
        "clientConfig": CLIENT,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "rules": [RULE],
        **fields,
    }
    return {key: value for key, value in hook.items() if value is not None}


def hooks(*webhooks: Fields, kind: str = "Validating", name: str = "sample") -> Fields:
    """A configuration of webhooks."""
    return sample(ADMISSION, f"{kind}WebhookConfiguration", name, webhooks=list(webhooks))


def rule(**fields: Any) -> Fields:
    """A webhook with one rule, RULE but for these fields."""
    return webhook(rules=[{**RULE, **fields}])


def service(**fields: Any) -> Fields:
    """A webhook behind a Service, with these fields of the reference."""
    return webhook(clientConfig={"service": {"namespace": "n", "name": "s", **fields}})


def url(address: str) -> Fields:
    """A webhook at an address."""
    return webhook(clientConfig={"url": address})


FIRST = "webhooks[0]"
CLIENT_PATH = f"{FIRST}.clientConfig"
WEBHOOK_ROWS: list[tuple[Fields, str, str]] = [
    (webhook("a.b"), f"{FIRST}.name", "should be a domain with at least three segments"),
    (webhook("A"), f"{FIRST}.name", "a lowercase RFC 1123 subdomain"),
    (webhook(sideEffects=None), f"{FIRST}.sideEffects", "must specify one of None, NoneOnDryRun"),
    (webhook(sideEffects="Some"), f"{FIRST}.sideEffects", "Unsupported value"),
    (webhook(failurePolicy="Hope"), f"{FIRST}.failurePolicy", '"Fail", "Ignore"'),
    (webhook(matchPolicy="Some"), f"{FIRST}.matchPolicy", '"Equivalent", "Exact"'),
    (webhook(timeoutSeconds=31), f"{FIRST}.timeoutSeconds", "must be between 1 and 30 seconds"),
    (
        webhook(admissionReviewVersions=[]),
        f"{FIRST}.admissionReviewVersions",
        "Required value: must specify one of v1, v1beta1",
    ),
    (
        webhook(admissionReviewVersions=["v2"]),
        f"{FIRST}.admissionReviewVersions",
        "must include at least one of v1, v1beta1",
    ),
    (
        webhook(admissionReviewVersions=["v1", "v1"]),
        f"{FIRST}.admissionReviewVersions[1]",
        "duplicate version",
    ),
    (webhook(clientConfig={}), CLIENT_PATH, "exactly one of url or service is required"),
    (url("http://a.io/x"), f"{CLIENT_PATH}.url", "'https' is the only allowed URL scheme; desired"),
    (url("https://u@a.io"), f"{CLIENT_PATH}.url", "user information is not permitted in the URL"),
    (url("https://a.io?x=1"), f"{CLIENT_PATH}.url", "query parameters are not permitted"),
    (url("https:///x"), f"{CLIENT_PATH}.url", "host must be specified"),
    (service(port=70000), f"{CLIENT_PATH}.service.port", "port is not valid: must be between 1"),
    (service(path="x"), f"{CLIENT_PATH}.service.path", "must start with a '/'"),
    (service(path="/a//b"), f"{CLIENT_PATH}.service.path", "segment[1] may not be empty"),
    (service(name=""), f"{CLIENT_PATH}.service.namespace", "Required value"),  # upstream swaps them
    (rule(operations=[]), f"{FIRST}.rules[0].operations", "Required value"),
    (rule(operations=["GET"]), f"{FIRST}.rules[0].operations[0]", "Unsupported value"),
    (
        rule(operations=["*", "CREATE"]),
        f"{FIRST}.rules[0].operations",
        "if '*' is present, must not specify other operations",
    ),
    (
        rule(apiGroups=["*", "apps"]),
        f"{FIRST}.rules[0].apiGroups",
        "if '*' is present, must not specify other API groups",
    ),
    (rule(apiVersions=[]), f"{FIRST}.rules[0].apiVersions", "Required value"),
    (rule(resources=[]), f"{FIRST}.rules[0].resources", "Required value"),
    (
        rule(resources=["pods/*", "pods/log"]),
        f"{FIRST}.rules[0].resources[1]",
        "if 'pods/*' is present, must not specify pods/log",
    ),
    (
        rule(resources=["*/*", "pods"]),
        f"{FIRST}.rules[0].resources",
        "if '*/*' is present, must not specify other resources",
    ),
    (rule(scope="All"), f"{FIRST}.rules[0].scope", "Unsupported value"),
    (webhook(matchConditions=[{}]), f"{FIRST}.matchConditions[0].expression", "Required value"),
]


@pytest.mark.parametrize(("hook", "field", "message"), WEBHOOK_ROWS)
def test_broken_webhooks_are_refused(api: KubeAPI, hook: Fields, field: str, message: str) -> None:
    """Each broken rule is reported with upstream's path and text, for both kinds."""
    for kind in ("Mutating", "Validating"):
        with pytest.raises(Invalid) as raised:
            api.create(hooks(hook, kind=kind))
        causes = causes_of(raised.value)
        assert [text for name, text in causes if name == field and message in text], causes


def test_names_of_webhooks_are_unique(api: KubeAPI) -> None:
    """Within one configuration."""
    with pytest.raises(Invalid, match=r"webhooks\[1\]\.name: Duplicate value"):
        api.create(hooks(webhook(), webhook()))


def test_defaults_of_webhooks(api: KubeAPI) -> None:
    """Fail, equivalent versions, empty selectors, 10 s, port 443, every scope, Never."""
    plain = {key: value for key, value in RULE.items() if key != "scope"}
    for kind in ("Mutating", "Validating"):
        made = api.create(hooks(webhook(rules=[plain]), kind=kind))
        hook = made["webhooks"][0]
        assert made["metadata"]["generation"] == 1
        assert (hook["failurePolicy"], hook["matchPolicy"]) == ("Fail", "Equivalent")
        assert (hook["namespaceSelector"], hook["objectSelector"]) == ({}, {})
        assert (hook["timeoutSeconds"], hook["clientConfig"]["service"]["port"]) == (10, 443)
        assert hook["rules"][0]["scope"] == "*"
        assert hook.get("reinvocationPolicy") == ("Never" if kind == "Mutating" else None)
        made["webhooks"][0]["timeoutSeconds"] = 5
        assert api.update(made)["metadata"]["generation"] == 2


def policy(kind: str = "Validating", name: str = "sample", **spec: Any) -> Fields:
    """A policy, valid but for these fields of its spec; None: the field is missing."""
    fields: Fields = {"matchConstraints": {"resourceRules": [RULE]}}
    if kind == "Validating":
        fields["validations"] = [{"expression": "true"}]
    else:
        fields["reinvocationPolicy"] = "Never"
        patch = {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}
        fields["mutations"] = [patch]
    fields |= spec
    version = ADMISSION if kind == "Validating" else MUTATING
    shown = {key: value for key, value in fields.items() if value is not None}
    return sample(version, f"{kind}AdmissionPolicy", name, spec=shown)


def binding(kind: str = "Validating", name: str = "sample", **spec: Any) -> Fields:
    """A binding, valid but for these fields of its spec."""
    version = ADMISSION if kind == "Validating" else MUTATING
    fields: Fields = {"policyName": "sample", **spec}
    if kind == "Validating":
        fields.setdefault("validationActions", ["Deny"])
    return sample(version, f"{kind}AdmissionPolicyBinding", name, spec=fields)


def validation(**fields: Any) -> Fields:
    """A policy with one validation."""
    return policy(validations=[{"expression": "true", **fields}])


POLICY_ROWS: list[tuple[Fields, str, str]] = [
    (policy(matchConstraints=None), "spec.matchConstraints", "Required value"),
    (policy(matchConstraints={}), "spec.matchConstraints.resourceRules", "Required value"),
    (policy(validations=None), "spec.auditAnnotations", "must contain at least one item"),
    (validation(expression=" "), "spec.validations[0].expression", "expression is not specified"),
    (validation(message="a\nb"), "spec.validations[0].message", "must not contain line breaks"),
    (validation(message=" "), "spec.validations[0].message", "message must be non-empty"),
    (validation(reason="Bad"), "spec.validations[0].reason", "Unsupported value"),
    (policy(paramKind={"kind": "K"}), "spec.paramKind.apiVersion", "Required value"),
    (
        policy(paramKind={"apiVersion": "a/b/c", "kind": "K"}),
        "spec.paramKind.apiVersion",
        "unexpected GroupVersion string: a/b/c",
    ),
    (
        policy(variables=[{"name": "if", "expression": "1"}]),
        "spec.variables[0].name",
        "name is not a valid CEL identifier",
    ),
    (
        policy(auditAnnotations=[{"key": "k", "valueExpression": ""}]),
        "spec.auditAnnotations[0].valueExpression",
        "valueExpression is not specified",
    ),
    (policy(failurePolicy="X"), "spec.failurePolicy", "Unsupported value"),
    (policy("Mutating", mutations=None), "spec.mutations", "mutations must contain at least one"),
    (policy("Mutating", reinvocationPolicy=""), "spec.reinvocationPolicy", "Required value"),
    (binding(policyName=""), "spec.policyName", "Required value"),
    (binding(validationActions=[]), "spec.validationActions", "at least one validation action is"),
    (binding(validationActions=["Deny", "Warn"]), "spec.validationActions", "both Deny and Warn"),
    (binding(validationActions=["Deny"] * 2), "spec.validationActions[1]", "Duplicate value"),
    (binding(paramRef={}), "spec.paramRef", "one of name or selector must be specified"),
    (
        binding("Mutating", paramRef={"name": "a", "selector": {}}),
        "spec.paramRef.selector",
        "name and selector are mutually exclusive",
    ),
    (
        binding(matchResources={"resourceRules": [{**RULE, "resourceNames": ["a", "a"]}]}),
        "spec.matchResouces.resourceRules[0].resourceNames[1]",
        "Duplicate value",
    ),
]


@pytest.mark.parametrize(("document", "field", "message"), POLICY_ROWS)
def test_broken_policies_are_refused(
    api: KubeAPI, document: Fields, field: str, message: str
) -> None:
    """Each broken rule is reported with upstream's path and text."""
    with pytest.raises(Invalid) as raised:
        api.create(document)
    causes = causes_of(raised.value)
    assert [text for name, text in causes if name == field and message in text], causes


def test_defaults_of_policies(api: KubeAPI) -> None:
    """Fail, equivalent versions, empty selectors, every scope; missing parameters deny."""
    spec = api.create(policy())["spec"]
    assert spec["failurePolicy"] == "Fail"
    assert spec["matchConstraints"]["matchPolicy"] == "Equivalent"
    assert spec["matchConstraints"]["objectSelector"] == {}
    reference = api.create(binding(paramRef={"name": "p"}))["spec"]["paramRef"]
    assert reference["parameterNotFoundAction"] == "Deny"


# -- what would be judged --------------------------------------------------------------------------


def warnings_of(api: KubeAPI, document: Fields, **options: Any) -> list[str]:
    """The warnings of the creation of an object."""
    warnings: list[str] = []
    api.create(document, warnings=warnings, **options)
    return warnings


def test_without_configurations_nothing_is_matched(api: KubeAPI) -> None:
    """No rule is kept, so a write looks at none."""
    assert api.write_path.advice.rules == ()
    assert warnings_of(api, a_pod()) == []
    api.create(hooks(webhook()))
    assert len(api.write_path.advice.rules) == 1
    api.delete("ValidatingWebhookConfiguration", "sample")
    assert api.write_path.advice.rules == ()


def test_a_write_that_a_webhook_would_judge_says_so(api: KubeAPI) -> None:
    """At each verb that its operations name, and at no other; also in a dry run."""
    assert (
        "does not enforce it" in warnings_of(api, hooks(rule(operations=["CREATE", "DELETE"])))[0]
    )
    text = (
        'ValidatingWebhookConfiguration "sample": webhook "a.example.com" matches this {}, but '
        "kubesim does not call it yet"
    )
    assert warnings_of(api, a_pod("dry"), dry_run=True) == [text.format("CREATE")]
    assert warnings_of(api, a_pod("web")) == [text.format("CREATE")]
    warnings: list[str] = []
    pod = labelled(api.get("Pod", "web"), a="b")
    api.update(pod, warnings=warnings)
    api.patch("Pod", "web", {"metadata": {"labels": {"a": "c"}}}, warnings=warnings)
    assert warnings == []
    api.apply(a_pod("new"), field_manager="me", warnings=warnings)
    assert warnings == [text.format("CREATE")]
    warnings.clear()
    api.delete("Pod", "web", warnings=warnings)
    assert warnings == [text.format("DELETE")]
    warnings.clear()
    api.delete_collection("Pod", "default", warnings=warnings)
    assert warnings == [text.format("DELETE")]


MATCHES: list[tuple[Fields, bool]] = [
    (rule(), True),
    (rule(apiGroups=["*"], apiVersions=["*"], resources=["*"]), True),
    (rule(resources=["*/*"]), True),
    (rule(resources=["pods/*"]), True),
    (rule(resources=["pods/status"]), False),
    (rule(apiGroups=["apps"]), False),
    (rule(apiVersions=["v2"]), False),
    (rule(operations=["DELETE"]), False),
    (rule(scope="Namespaced"), True),
    (rule(scope="Cluster"), False),
    (webhook(objectSelector={"matchLabels": {"app": "web"}}), True),
    (webhook(objectSelector={"matchLabels": {"app": "db"}}), False),
    (webhook(namespaceSelector={"matchLabels": {"team": "a"}}), True),
    (
        webhook(
            namespaceSelector={
                "matchExpressions": [{"key": "team", "operator": "DoesNotExist"}],
            }
        ),
        False,
    ),
    (webhook(rules=[]), False),
]


@pytest.mark.parametrize(("hook", "matches"), MATCHES)
def test_rules_and_selectors_are_those_of_kubernetes(
    api: KubeAPI, hook: Fields, matches: bool
) -> None:
    """Groups, versions, operations, resources, scope, labels of the object and its namespace."""
    api.create({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}})
    api.create(hooks(hook))
    pod = labelled(a_pod(), app="web")
    assert bool(warnings_of(api, pod, namespace="shop")) is matches


def test_a_policy_judges_by_its_bindings(api: KubeAPI) -> None:
    """None without one; a binding may narrow it, exclude requests and name objects."""
    api.create(policy())
    assert warnings_of(api, a_pod("a")) == []
    named = {"resourceRules": [{**RULE, "resourceNames": ["b"]}]}
    api.create(binding(matchResources=named))
    assert warnings_of(api, a_pod("x")) == []
    (message,) = warnings_of(api, a_pod("b"))
    assert message.startswith(
        'ValidatingAdmissionPolicy "sample" with ValidatingAdmissionPolicyBinding "sample" matches'
    )
    changed = api.get("ValidatingAdmissionPolicyBinding", "sample")
    changed["spec"]["matchResources"] = {"excludeResourceRules": [RULE]}
    api.update(changed)
    assert warnings_of(api, a_pod("c")) == []


def test_requests_for_the_configurations_are_never_judged(api: KubeAPI) -> None:
    """As upstream: else a webhook could lock itself in."""
    api.create(hooks(rule(apiGroups=["*"], apiVersions=["*"], resources=["*"])))
    (message,) = warnings_of(api, hooks(webhook(), name="second"))
    assert "does not enforce it" in message


def test_cells_of_webhooks_and_policies(api: KubeAPI) -> None:
    """Columns of `kubectl get`."""
    api.create(hooks(webhook(), webhook("b.example.com")))
    api.create(policy(paramKind={"apiVersion": "a.io/v1", "kind": "Limit"}))
    api.create(policy("Mutating"))
    api.create(binding(paramRef={"name": "p"}))
    api.create(binding("Mutating", paramRef={"selector": {"matchLabels": {"a": "b"}}}))
    expected = {
        "ValidatingWebhookConfiguration": [["sample", 2, "0s"]],
        "ValidatingAdmissionPolicy": [["sample", 1, "a.io/v1/Limit", "0s"]],
        "MutatingAdmissionPolicy": [["sample", 1, "<unset>", "0s"]],
        "ValidatingAdmissionPolicyBinding": [["sample", "sample", "*/p", "0s"]],
        "MutatingAdmissionPolicyBinding": [["sample", "sample", "a=b", "0s"]],
    }
    for kind, rows in expected.items():
        items = api.list(kind)["items"]
        assert table_for(api.registry.find(kind), items, api.clock, api.clock.now())[1] == rows
