"""What Kubernetes is told, against the schemas that Kubernetes and the Dask operator publish."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.signals.configuration import RunSettings, run_settings
from fintech_toolkit.signals.manifests import manifests

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

JOB = "io.k8s.api.batch.v1.Job"
SCHEMAS = Path(__file__).parent / "schemas"
ASKED = {"input": "s3://market/hourly", "output": "s3://market/signals", "calendar": None, "signals": {"base": 0.25}}


def strict(schema: Any) -> Any:
    """The same schema, to which a key that it does not know is an error."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    closed = isinstance(made.get("properties"), dict) and "x-kubernetes-preserve-unknown-fields" not in made
    return {"additionalProperties": False, **made} if closed else made


@pytest.fixture(scope="module")
def schemas() -> dict[str, Draft202012Validator]:
    from jsonschema import Draft202012Validator  # takes seconds, which all processes of tests would wait for

    job, cluster = (json.loads((SCHEMAS / name).read_text()) for name in ("job.json", "daskcluster.json"))
    # What every object of Kubernetes has, its own definition does not say again.
    metadata = job["$defs"][JOB]["properties"]["metadata"]
    cluster["properties"].update(
        metadata=metadata, apiVersion={"const": "kubernetes.dask.org/v1"}, kind={"const": "DaskCluster"}
    )
    found = {"Job": job, "DaskCluster": {**strict(cluster), "$defs": job["$defs"]}}
    return {kind: Draft202012Validator(schema) for kind, schema in found.items()}


def documents(settings: RunSettings, **options: Any) -> dict[str, Any]:
    text = manifests(settings, "registry/toolkit:1", **options)
    assert not any(sign in text for sign in ("&id", "SECRET_ACCESS"))
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def test_a_run_on_a_cluster(schemas: dict[str, Draft202012Validator], tmp_path: Path) -> None:
    settings = run_settings(**ASKED, contracts=10)
    found = documents(settings, name="hourly", workers=5)
    assert list(found) == ["ConfigMap", "DaskCluster", "Job"]
    for kind, schema in schemas.items():
        schema.validate(found[kind])
    (tmp_path / "signals.yaml").write_text(found["ConfigMap"]["data"]["signals.yaml"])
    assert run_settings(tmp_path / "signals.yaml") == settings
    cluster = found["DaskCluster"]["spec"]
    assert cluster["worker"]["replicas"] == 5
    service = {port["name"]: port["port"] for port in cluster["scheduler"]["service"]["ports"]}
    run = found["Job"]["spec"]["template"]["spec"]
    command = run["containers"][0]["command"]
    # The operator calls the scheduler's service after the cluster.
    assert command[command.index("--scheduler") + 1] == f"tcp://hourly-scheduler:{service['tcp-comm']}"
    mounted = run["containers"][0]["volumeMounts"][0]["mountPath"]
    assert command[command.index("--config") + 1] == f"{mounted}/signals.yaml"
    assert run["volumes"][0]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]


def test_a_pod_for_each_contract(schemas: dict[str, Draft202012Validator], tmp_path: Path) -> None:
    contracts = ["AAPL", "BRK B", "$(rm x)"]
    found = documents(run_settings(**ASKED, contracts=contracts), at_once=2)
    assert list(found) == ["ConfigMap", "Job"]
    schemas["Job"].validate(found["Job"])
    spec = found["Job"]["spec"]
    assert (spec["completions"], spec["parallelism"]) == (3, 2)
    program = tmp_path / "fintech-toolkit"
    program.write_text('#!/bin/sh\nfor last; do :; done\necho "$last"\n')
    program.chmod(0o755)
    command = spec["template"]["spec"]["containers"][0]["command"]
    for number, contract in enumerate(contracts):
        environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": str(number)}
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        assert ran.stdout == f"{contract}\n"


def test_the_schemas_would_tell(schemas: dict[str, Draft202012Validator]) -> None:
    from jsonschema import ValidationError

    found = documents(run_settings(**ASKED))
    for kind, path in (("Job", "template"), ("DaskCluster", "worker")):
        for wrong in ({"replicaz": 1}, {"spec": {"containers": [{"image": "x"}]}}):
            harmed = json.loads(json.dumps(found[kind]))
            harmed["spec"][path].update(wrong)
            with pytest.raises(ValidationError):
                schemas[kind].validate(harmed)


def test_what_pods_cannot_see_is_refused() -> None:
    with pytest.raises(ParameterError, match="input prices: pods see no folder"):
        manifests(run_settings(input="prices", output="s3://a/b"), "x")
    with pytest.raises(ParameterError, match="output file:///a: pods"):
        manifests(run_settings(input="s3://a/b", output="file:///a"), "x")
    with pytest.raises(ParameterError, match="Name the contracts"):
        manifests(run_settings(**ASKED, contracts=3), "x", at_once=1)
