"""Checks the files for containers and clusters with the tools that run them.

  python check.py PROJECT_FOLDER OUTPUT_FOLDER

Helm's own SDK lints and renders the chart, Kubernetes' published schemas judge what comes out, and the configs that the
daemon would read are written to the output folder.
"""

import subprocess
import sys
from pathlib import Path

import compose_spec
import helm_python as helm
import kubernetes_validate
import yaml

project, output = Path(sys.argv[1]), Path(sys.argv[2])
CHART = str(project / "config/helm/plimsoll")
# Made known by the Prometheus operator, not by Kubernetes.
FOREIGN = {"ServiceMonitor"}
# Among the severities of Helm's lint.
WARNING = 2
CLUSTERS = ["1.27", "1.34"]

CASES = {
    "plain": {},
    "all": {
        "image": {"repository": "registry.example/plimsoll", "tag": "1.2.3"},
        "imagePullSecrets": [{"name": "registry"}],
        "server": {"tokenSecret": {"name": "plimsoll-token", "key": "admin"}, "settings": 'max_body = "2MiB"\n'},
        "env": [{"name": "ZONE", "value": "north"}],
        "persistence": {"size": "50Gi", "storageClass": "fast", "accessModes": ["ReadWriteOncePod"]},
        "rbac": {"create": True},
        "ingress": {"enabled": True, "className": "nginx", "host": "plimsoll.example", "tlsSecret": "plimsoll-tls"},
        "serviceMonitor": {"enabled": True, "tokenSecret": {"name": "plimsoll-viewer", "key": "token"}},
        "tolerations": [{"key": "batch", "operator": "Exists"}],
        "podLabels": {"team": "platform"},
    },
    "own_claim_some_namespaces": {
        "persistence": {"existingClaim": "mine"},
        "rbac": {"create": True, "namespaces": ["tenant-a", "tenant-b"]},
    },
}

REFUSED = {
    "a key that is not there": {"imagePullPolicy": "Always"},
    "a section of the chart's": {"config": '[prometheus]\nurl = "http://p"\n[store]\npath = "x"\n'},
    "a size without a unit": {"persistence": {"size": "ten"}},
    "an ingress without TLS": {"ingress": {"enabled": True, "host": "plimsoll.example"}},
    "a monitor without a token": {"serviceMonitor": {"enabled": True}},
    "two daemons on a volume": {"persistence": {"accessModes": ["ReadWriteMany"]}},
}


def objects(chart, values: dict) -> list[dict]:
    rendered = chart.render(values, name="sized", namespace="plimsoll")
    texts = (text for path, text in sorted(rendered.items()) if path.endswith(".yaml"))
    return [one for text in texts for one in yaml.safe_load_all(text) if one]


def of_kind(made: list[dict], kind: str) -> list[dict]:
    return [one for one in made if one["kind"] == kind]


def check_case(chart, name: str, values: dict) -> None:
    chart.validate_schema(values)
    made = objects(chart, values)
    for one in made:
        for cluster in CLUSTERS if one["kind"] not in FOREIGN else []:
            kubernetes_validate.validate(one, cluster, strict=True)
    [pod] = [one["spec"]["template"]["spec"] for one in of_kind(made, "StatefulSet")]
    assert pod["automountServiceAccountToken"] == bool(of_kind(made, "ClusterRole")), name
    mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"] for volume in pod["volumes"]}
    claimed = {"data"} - volumes
    assert mounted == volumes | claimed, (name, mounted, volumes)
    [config] = of_kind(made, "ConfigMap")
    (output / f"{name}.toml").write_text(config["data"]["plimsoll.toml"])


def check_chart() -> None:
    print("helm", helm.helm_sdk_version())
    lint = helm.lint(CHART)
    findings = [one for one in lint["messages"] if one["severity"] >= WARNING]
    assert lint["total_charts_linted"] == 1 and not findings, findings
    with helm.Chart.load(CHART) as chart:
        for name, values in CASES.items():
            check_case(chart, name, values)
        for name, values in REFUSED.items():
            try:
                chart.validate_schema(values)
            except helm.HelmError:
                continue
            raise AssertionError(f"the schema lets through {name}")
        role = of_kind(objects(chart, CASES["all"]), "ClusterRole")[0]
        bindings = of_kind(objects(chart, CASES["own_claim_some_namespaces"]), "RoleBinding")
    ours = list(yaml.safe_load_all((project / "config/kubernetes/rbac.yaml").read_text()))
    assert role["rules"] == of_kind(ours, "ClusterRole")[0]["rules"], "the chart's rights are not those of rbac.yaml"
    assert [one["metadata"]["namespace"] for one in bindings] == ["tenant-a", "tenant-b"]
    for one in ours:
        kubernetes_validate.validate(one, CLUSTERS[-1], strict=True)


def check_docker() -> None:
    folder = project / "config/docker"
    compose = compose_spec.PyCompose.from_yaml((folder / "compose.yaml").read_text())
    compose.validate()
    assert sorted(compose.service_names()) == ["plimsoll", "prometheus"], compose.service_names()
    hadolint = Path(sys.executable).parent / "hadolint"
    subprocess.run([hadolint, "--no-color", folder / "Dockerfile"], check=True)


check_chart()
check_docker()
