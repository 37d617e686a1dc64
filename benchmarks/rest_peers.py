"""The servers that `rest_load` compares, each to be run in a process of its own.

All hold 1,000 pods with their records and answer the same four routes. The first three also hold
the pods as Kubernetes writes them, list them (as JSON, as a finished table), and tell whoever
watches of a change, with a queue for each stream; peers encode a change once, in their favour.

    kubesim   RestServer, as `kubesim serve` uses it
    naive     http.server as tutorials write it: BaseHTTPRequestHandler, HTTP/1.0, a thread for each
              connection, json.dumps for each answer; its log is switched off, in its favour
    aiohttp   web.json_response, as its documentation writes it
    floor     no HTTP at all: a thread for each connection that receives and sends a fixed answer.
              What is left is the kernel's share and the interpreter's hand-over of threads
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import resource
import socket
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PODS = 1_000


def _records() -> dict[str, dict[str, Any]]:
    return {
        f"id-{n}": {
            "id": f"id-{n}",
            "name": f"pod-{n}",
            "status": "Running",
            "cpu": 134,
            "memory": 76,
            "logs": ["[tick] Pod is running..."] * 10,
            "namespace": "default",
            "node": "node-1",
        }
        for n in range(PODS)
    }


def _cluster() -> tuple[Any, list[str]]:
    """(API with the pods, their ids)."""
    from kubesim.apiserver import KubeAPI
    from kubesim.clock import NamedStreams, VirtualClock
    from kubesim.store import EtcdStore

    api = KubeAPI(EtcdStore(), VirtualClock(), NamedStreams(1))
    lines = [(0.0, "[tick] Pod is running...")] * 10
    api.register_log_source("node-1", lambda *_args: lines)
    ids = []
    for number in range(PODS):
        pod = api.create_pod(f"pod-{number}")
        api.bind(f"pod-{number}", "default", "node-1")
        stored = api.get("Pod", f"pod-{number}")
        api.update_status({**stored, "status": {**stored["status"], "phase": "Running"}})
        api.metrics_writer("default", f"pod-{number}")(1.0, 1.0, "main", 134, 76_000_000)
        ids.append(pod["id"])
    return api, ids


def _documents() -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Any]]]:
    """(list, table, pod by name), the same that kubesim's server answers with."""
    from kubesim.apiserver.printers import table as printing

    api, _ = _cluster()
    listed = api.list("Pod")
    kind = api.registry.find("Pod")
    rows = [
        {
            "cells": printing.cells(kind, pod, api.clock, 0.0),
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": pod["metadata"],
            },
        }
        for pod in listed["items"]
    ]
    table = {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": listed["metadata"],
        "columnDefinitions": printing.columns(kind),
        "rows": rows,
    }
    return listed, table, {pod["metadata"]["name"]: pod for pod in listed["items"]}


def _changed(pods: dict[str, dict[str, Any]], marker: str) -> bytes:
    """The first pod with another annotation, as a line of a watch."""
    metadata = {**pods["pod-0"]["metadata"], "annotations": {"marker": marker}}
    pods["pod-0"] = {**pods["pod-0"], "metadata": metadata}
    return json.dumps({"type": "MODIFIED", "object": pods["pod-0"]}).encode() + b"\n"


def serve_kubesim(pipe: Any) -> None:
    from kubesim.rest import RestServer

    api, ids = _cluster()

    def force_delete(id: str) -> None:
        """As a pod without a kubelet goes: the state is removed at once."""
        kv = api.seed.find(id)
        api.delete("Pod", kv.value["metadata"]["name"], grace_period_seconds=0)

    def change(marker: str) -> None:
        api.patch("Pod", "pod-0", {"metadata": {"annotations": {"marker": marker}}})

    api.delete_pod = force_delete
    server = RestServer(api).start()
    _answer(pipe, server.port, ids, change)


def serve_naive(pipe: Any) -> None:
    pods = _records()
    listed, table, by_name = _documents()
    streams: list[queue.SimpleQueue[bytes]] = []
    lock = threading.Lock()

    def change(marker: str) -> None:
        with lock:
            line = _changed(by_name, marker)
            for stream in streams:
                stream.put(line)

    class Handler(BaseHTTPRequestHandler):
        """As tutorials write it."""

        def _send(self, status: int, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _watch(self) -> None:
            events: queue.SimpleQueue[bytes] = queue.SimpleQueue()
            with lock:
                streams.append(events)
            try:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                while True:
                    self.wfile.write(events.get())
            except OSError:
                with lock:
                    streams.remove(events)

        def do_GET(self) -> None:
            if "watch=true" in self.path:
                self._watch()
                return
            with lock:
                if self.path == "/api/v1/pods":
                    as_table = "as=Table" in self.headers.get("Accept", "")
                    self._send(200, table if as_table else listed)
                elif self.path.startswith("/api/v1/"):
                    self._send(200, by_name[self.path.rpartition("/")[2]])
                elif self.path == "/api/pods":
                    self._send(200, list(pods.values()))
                else:
                    self._send(200, pods[self.path.rpartition("/")[2]])

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            identity = str(uuid.uuid4())
            with lock:
                pods[identity] = {"id": identity, "name": body["name"], "status": "Pending"}
            self._send(201, {"message": "Pod created", "id": identity})

        def do_DELETE(self) -> None:
            with lock:
                del pods[self.path.rpartition("/")[2]]
            self._send(200, {"message": "Pod deleted"})

        def log_message(self, *_args: Any) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 512

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _answer(pipe, server.server_address[1], list(pods), change)


def serve_aiohttp(pipe: Any) -> None:
    import asyncio

    from aiohttp import web

    pods = _records()
    kube, tell = _aiohttp_kube()
    loops: list[asyncio.AbstractEventLoop] = []

    async def list_all(_request: Any) -> Any:
        return web.json_response(list(pods.values()))

    async def get_one(request: Any) -> Any:
        return web.json_response(pods[request.match_info["id"]])

    async def create(request: Any) -> Any:
        body = await request.json()
        identity = str(uuid.uuid4())
        pods[identity] = {"id": identity, "name": body["name"], "status": "Pending"}
        return web.json_response({"message": "Pod created", "id": identity}, status=201)

    async def delete(request: Any) -> Any:
        del pods[request.match_info["id"]]
        return web.json_response({"message": "Pod deleted"})

    def serve() -> None:
        async def main() -> None:
            loops.append(asyncio.get_running_loop())
            app = web.Application()
            app.add_routes(
                [
                    web.get("/api/pods", list_all),
                    web.get("/api/pods/{id}", get_one),
                    web.post("/api/pods", create),
                    web.delete("/api/pods/{id}", delete),
                    *kube,
                ]
            )
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            ports.append(runner.addresses[0][1])
            ready.set()
            await asyncio.Event().wait()

        asyncio.run(main())

    ports: list[int] = []
    ready = threading.Event()
    threading.Thread(target=serve, daemon=True).start()
    ready.wait(20)

    def change(marker: str) -> None:
        loops[0].call_soon_threadsafe(tell, marker)

    _answer(pipe, ports[0], list(pods), change)


def _aiohttp_kube() -> tuple[list[Any], Callable[[str], None]]:
    """(routes of the Kubernetes API, what tells its watchers of a change, on the loop's thread)."""
    import asyncio

    from aiohttp import web

    listed, table, by_name = _documents()
    streams: list[asyncio.Queue[bytes]] = []

    async def all_pods(request: Any) -> Any:
        if request.query.get("watch") == "true":
            return await watch(request)
        as_table = "as=Table" in request.headers.get("Accept", "")
        return web.json_response(table if as_table else listed)

    async def one(request: Any) -> Any:
        return web.json_response(by_name[request.match_info["name"]])

    async def watch(request: Any) -> Any:
        events: asyncio.Queue[bytes] = asyncio.Queue()
        streams.append(events)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            while True:
                await response.write(await events.get())
        except ConnectionResetError:
            return response  # the client hung up
        finally:
            streams.remove(events)

    def tell(marker: str) -> None:
        line = _changed(by_name, marker)
        for stream in streams:
            stream.put_nowait(line)

    pods = "/api/v1/namespaces/default/pods/{name}"
    return [web.get("/api/v1/pods", all_pods), web.get(pods, one)], tell


def serve_floor(pipe: Any) -> None:
    """Receive, send, and nothing else."""
    record = next(iter(_records().values()))
    body = json.dumps(record).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        with connection:
            while connection.recv(65536):
                connection.sendall(answer)

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    _answer(pipe, listener.getsockname()[1], list(_records()))


def _answer(
    pipe: Any, port: int, ids: list[str], change: Callable[[str], None] | None = None
) -> None:
    """Tell where the server is, then its CPU time whenever asked, until the pipe closes.

    Any other word is the marker of a change that watchers shall see.

    Every server gets one core for itself, where the system can do that: what threads cost when they
    hop between cores says more about the machine than about the server.
    """
    if hasattr(os, "sched_setaffinity"):
        core = {sorted(os.sched_getaffinity(0))[0]}
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), core)
    pipe.send((port, ids))
    try:
        while True:
            word = pipe.recv()
            if word == "cpu":
                used = resource.getrusage(resource.RUSAGE_SELF)
                pipe.send(used.ru_utime + used.ru_stime)
            elif change is not None:
                change(word)
    except EOFError:
        pass
    os._exit(0)


class Server:
    """A server process and the way to it."""

    def __init__(self, serve: Callable[[Any], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        self.port, self.ids = self._pipe.recv()
        self.made: list[str] = []

    def cpu(self) -> float:
        """CPU seconds of the process so far."""
        self._pipe.send("cpu")
        return float(self._pipe.recv())

    def change(self, marker: str) -> None:
        """Change a pod: its watchers get the marker with it."""
        self._pipe.send(marker)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()
