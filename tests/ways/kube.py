"""A stand-in for a Kubernetes API server, for the real kubectl to speak to.

It keeps Jobs and makes their pods, answers in the shapes of the API's reference (batch/v1, v1), and runs nothing: a
test says what became of a pod.  Fields are not validated here, but in test_schema_k8s.py.
"""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Json = dict[str, Any]
ANSWERS: dict[str, Json] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": name,
                "versions": [{"groupVersion": f"{name}/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": f"{name}/v1", "version": "v1"},
            }
            for name in ("batch", "authorization.k8s.io")
        ],
    },
    "/openapi/v3": {"paths": {"apis/batch/v1": {"serverRelativeURL": "/openapi/v3/apis/batch/v1"}}},
    # So much of it as tells kubectl that the server validates fields itself.
    "/openapi/v3/apis/batch/v1": {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.32.0"},
        "components": {},
        "paths": {
            "/apis/batch/v1/namespaces/{namespace}/jobs/{name}": {
                "patch": {
                    "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                    "x-kubernetes-group-version-kind": {"group": "batch", "version": "v1", "kind": "Job"},
                    "responses": {},
                }
            }
        },
    },
}
for _version, _path, _name, _kind, _namespaced in (
    ("v1", "/api/v1", "pods", "Pod", True),
    ("batch/v1", "/apis/batch/v1", "jobs", "Job", True),
    (
        "authorization.k8s.io/v1",
        "/apis/authorization.k8s.io/v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        False,
    ),
):
    ANSWERS[_path] = {
        "kind": "APIResourceList",
        "groupVersion": _version,
        "resources": [
            {
                "name": _name,
                "singularName": _kind.lower(),
                "namespaced": _namespaced,
                "kind": _kind,
                "verbs": ["create", "delete", "get", "list"],
            }
        ],
    }


@dataclass
class Cluster:
    """What the stand-in has, by namespace and name."""

    jobs: dict[tuple[str, str], Json] = field(default_factory=dict)
    pods: dict[tuple[str, str], Json] = field(default_factory=dict)
    refusal: tuple[int, str, str] | None = None
    """Code, reason and message with which Jobs are refused."""
    is_silent: bool = False
    """It takes what it is sent, and answers nothing."""
    creates_silently: bool = False
    """It creates the Job, and does not say so."""
    queries: list[str] = field(default_factory=list)

    def create(self, namespace: str, job: Json) -> Json:
        name = job["metadata"]["name"]
        job["metadata"] |= {"namespace": namespace, "uid": str(uuid.uuid4())}
        job["status"] = {}
        self.jobs[namespace, name] = job
        if job["spec"].get("suspend"):
            job["status"] = {"conditions": [{"type": "Suspended", "status": "True"}]}
        else:
            self.start(namespace, name)
        return job

    def start(self, namespace: str, name: str) -> None:
        """As the controller does, when a Job is admitted."""
        job = self.jobs[namespace, name]
        job["spec"]["suspend"] = False
        count = job["spec"]["parallelism"]
        job["status"] = {"active": count, "terminating": 0, "ready": 0}
        for index in range(count):
            pod = f"{name}-{index}-{uuid.uuid4().hex[:5]}"
            labels = {**job["spec"]["template"]["metadata"]["labels"], "job-name": name}
            self.pods[namespace, pod] = {
                "kind": "Pod",
                "apiVersion": "v1",
                "metadata": {"name": pod, "namespace": namespace, "uid": str(uuid.uuid4()), "labels": labels},
                "spec": job["spec"]["template"]["spec"],
                "status": {"phase": "Pending"},
            }


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster

    def log_message(self, format: str, *words: object) -> None:  # noqa: A002
        pass

    def answer(self, code: int, body: Json) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def fail(self, code: int, reason: str, message: str) -> None:
        status: Json = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason}
        if reason == "Invalid":
            causes = [{"reason": "FieldValueInvalid", "message": message, "field": "spec.parallelism"}]
            status["details"] = {"name": "x", "group": "batch", "kind": "Job", "causes": causes}
        self.answer(code, {**status, "message": message, "code": code})

    def object(self) -> tuple[dict[tuple[str, str], Json], str, str, str] | None:
        """What a path names: the table, what is in it, namespace and name."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        if "namespaces" not in parts[:-2]:
            return None
        namespace, kind, *name = parts[parts.index("namespaces") + 1 :]
        table = self.cluster.pods if kind == "pods" else self.cluster.jobs
        return table, kind, namespace, "/".join(name)

    def do_GET(self) -> None:
        self.cluster.queries.append(f"GET {self.path}")
        found = self.object()
        if found is None:
            path = urlsplit(self.path).path
            if path in ANSWERS:
                self.answer(200, ANSWERS[path])
            else:
                self.fail(404, "NotFound", "the server could not find the requested resource")
            return
        table, kind, namespace, name = found
        if self.cluster.is_silent:
            threading.Event().wait(30)
            return
        if name and (namespace, name) in table:
            self.answer(200, table[namespace, name])
        elif name:
            self.fail(404, "NotFound", f'{kind}.batch "{name}" not found')
        else:
            (selector,) = parse_qs(urlsplit(self.path).query).get("labelSelector", [""])
            wanted = dict(one.split("=") for one in selector.split(",") if one)
            items = [
                one
                for (where, _), one in table.items()
                if where == namespace and wanted.items() <= one["metadata"]["labels"].items()
            ]
            version, of = ("v1", "Pod") if kind == "pods" else ("batch/v1", "Job")
            self.answer(
                200,
                {
                    "kind": f"{of}List",
                    "apiVersion": version,
                    "metadata": {"resourceVersion": "7"},
                    # In a list of the server's, the items say neither kind nor version.
                    "items": [{k: v for k, v in one.items() if k not in ("kind", "apiVersion")} for one in items],
                },
            )

    def do_POST(self) -> None:
        self.cluster.queries.append(f"POST {self.path}")
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        found = self.object()
        if found is None:  # may we create Jobs?  The question is no JSON
            status = {"allowed": self.cluster.refusal is None}
            kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
            self.answer(201, {**kind, "spec": {}, "status": status})
            return
        if self.cluster.is_silent:
            threading.Event().wait(30)
            return
        body = json.loads(sent)
        _, of, namespace, _ = found
        name = body["metadata"]["name"]
        if self.cluster.refusal is not None:
            self.fail(*self.cluster.refusal)
        elif (namespace, name) in self.cluster.jobs:
            self.fail(409, "AlreadyExists", f'{of}.batch "{name}" already exists')
        else:
            made = self.cluster.create(namespace, body)
            if not self.cluster.creates_silently:
                self.answer(201, made)

    def do_DELETE(self) -> None:
        self.cluster.queries.append(f"DELETE {self.path}")
        found = self.object()
        assert found is not None
        table, kind, namespace, name = found
        if self.cluster.refusal is not None:
            self.fail(*self.cluster.refusal)
        elif (namespace, name) not in table:
            self.fail(404, "NotFound", f'{kind}.batch "{name}" not found')
        else:
            # With --cascade=foreground a Job is there until its pods are gone.
            table[namespace, name]["metadata"]["deletionTimestamp"] = "2026-11-29T18:00:00Z"
            for pod in self.cluster.pods.values():
                if pod["metadata"]["labels"]["job-name"] == name:
                    pod["metadata"]["deletionTimestamp"] = "2026-11-29T18:00:00Z"
            self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})


@dataclass
class Server:
    """The stand-in, listening."""

    cluster: Cluster
    http: ThreadingHTTPServer

    def write_kubeconfig(self, path: Path) -> None:
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "stand-in",
                    "clusters": [
                        {"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.http.server_address[1]}"}}
                    ],
                    "users": [{"name": "u", "user": {}}],
                    "contexts": [{"name": "stand-in", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
                }
            )
        )

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def serve() -> Server:
    cluster = Cluster()
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, daemon=True).start()
    return Server(cluster, http)
