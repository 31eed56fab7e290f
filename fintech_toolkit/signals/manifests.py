"""Manifests for Kubernetes: a Dask cluster and a Job for a run, or a Job of a pod for each contract."""

from __future__ import annotations

import shlex
from typing import Any

import yaml

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.signals.configuration import RunSettings

_FOLDER, _FILE = "/etc/signals", "signals.yaml"
_RUN = ["fintech-toolkit", "signals", "run", "--config", f"{_FOLDER}/{_FILE}"]
_COMM, _DASHBOARD = 8786, 8787


def manifests(
    settings: RunSettings,
    image: str,
    *,
    name: str = "signals",
    secret: str = "signals-store",  # noqa: S107 - the name of one
    workers: int = 2,
    at_once: int | None = None,
) -> str:
    """Return what Kubernetes is to be told, as YAML: for ``kubectl apply -f``.

    A ConfigMap holds the settings. A run is a Job on a DaskCluster, which the Dask operator starts; or, with `at_once`,
    an indexed Job of a pod for each contract, each a run of its own, of which one that fails costs the others nothing.
    Credentials and the endpoint of the store come from a Secret, which is not among the manifests.

    Parameters
    ----------
    settings : RunSettings
        What runs read, compute and write; input and output are URLs that pods can see.
    image : str
        A container image that has this package.
    name : str
        What all of it is called.
    secret : str
        The Secret whose keys are the environment: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and so on.
    workers : int
        Pods of the cluster.
    at_once : int, optional
        How many contracts have pods at the same time; a single run on a cluster, if left out.

    Returns
    -------
    str

    Raises
    ------
    ParameterError
        If input or output is a folder of this machine, or contracts are to have pods and are not named.

    Examples
    --------
    >>> from fintech_toolkit.signals.configuration import run_settings
    >>> text = manifests(run_settings(input="s3://market/hourly", output="s3://market/signals"), "toolkit:1")
    >>> [document["kind"] for document in yaml.safe_load_all(text)]
    ['ConfigMap', 'DaskCluster', 'Job']
    """
    for key, url in (("input", settings.input), ("output", settings.output)):
        if "://" not in url or url.startswith(("file://", "local://", "memory://")):
            raise ParameterError(f"{key} {url}: pods see no folder of this machine; give a URL, such as s3://….")
    asked = settings.model_dump(exclude_defaults=True)
    pod = {
        "image": image,
        "envFrom": [{"secretRef": {"name": secret}}],
    }
    config = _kind("v1", "ConfigMap", name) | {"data": {_FILE: yaml.safe_dump(asked, sort_keys=False)}}
    if at_once is None:
        cluster = _cluster(name, pod, workers)
        command = [*_RUN, "--scheduler", f"tcp://{name}-scheduler:{_COMM}"]
        # A run of which contracts failed is not begun again as a whole: `signals run --retry` does what failed.
        documents = [config, cluster, _job(name, {**pod, "command": command}, backoffLimit=0)]
    else:
        documents = [config, _job_of_contracts(name, pod, settings.contracts, at_once)]
    return str(yaml.dump_all(documents, Dumper=_Plain, sort_keys=False))


class _Plain(yaml.SafeDumper):  # type: ignore[misc]
    """YAML without anchors, and texts of lines as lines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Plain.add_representer(str, _Plain.represent_str)


def _kind(version: str, kind: str, name: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "fintech-toolkit", "app.kubernetes.io/instance": name}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels}}


def _cluster(name: str, pod: dict[str, Any], workers: int) -> dict[str, Any]:
    ports = {"tcp-comm": _COMM, "http-dashboard": _DASHBOARD}
    scheduler = {
        "name": "scheduler",
        **pod,
        "args": ["dask", "scheduler"],
        "ports": [{"name": port, "containerPort": number, "protocol": "TCP"} for port, number in ports.items()],
        "readinessProbe": {"httpGet": {"port": "http-dashboard", "path": "/health"}, "periodSeconds": 10},
    }
    worker = {"name": "worker", **pod, "args": ["dask", "worker", "--name", "$(DASK_WORKER_NAME)", "--nthreads", "1"]}
    service = {
        "type": "ClusterIP",
        "selector": {"dask.org/cluster-name": name, "dask.org/component": "scheduler"},
        "ports": [
            {"name": port, "protocol": "TCP", "port": number, "targetPort": port} for port, number in ports.items()
        ],
    }
    return _kind("kubernetes.dask.org/v1", "DaskCluster", name) | {
        "spec": {
            "worker": {"replicas": workers, "spec": {"containers": [worker]}},
            "scheduler": {"spec": {"containers": [scheduler]}, "service": service},
        }
    }


def _job(name: str, pod: dict[str, Any], **limits: Any) -> dict[str, Any]:
    container = {"name": "run", **pod, "volumeMounts": [{"name": "settings", "mountPath": _FOLDER, "readOnly": True}]}
    volume = {"name": "settings", "configMap": {"name": name}}
    template = {"spec": {"restartPolicy": "Never", "containers": [container], "volumes": [volume]}}
    return _kind("batch/v1", "Job", f"{name}-run") | {"spec": {**limits, "template": template}}


def _job_of_contracts(name: str, pod: dict[str, Any], contracts: Any, at_once: int) -> dict[str, Any]:
    if not isinstance(contracts, list):
        raise ParameterError("Name the contracts that are to have pods: --contract AAPL --contract MSFT.")
    # Each pod knows its number only; its contract is what is left in front when those before are shifted away.
    script = 'shift "$JOB_COMPLETION_INDEX"; exec ' + shlex.join([*_RUN, "--workers", "1"]) + ' --contract "$1"'
    command = ["sh", "-c", script, "run", *contracts]
    spread = {
        "completionMode": "Indexed",
        "completions": len(contracts),
        "parallelism": at_once,
        "backoffLimitPerIndex": 1,
        "maxFailedIndexes": len(contracts),
    }
    return _job(name, {**pod, "command": command}, **spread)
