"""The command line: ``python -m kubesim serve``, ``run`` and ``kubeconfig``.

`serve` is the original's ``go run cmd/main.go``: a cluster on the live clock behind an HTTP server.
`kubeconfig` writes the file by which kubectl finds it.
`run` is what the original could not do: the same cluster on the virtual clock, an hour in a blink.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from textwrap import indent
from types import FrameType

from kubesim.cluster import Cluster
from kubesim.errors import KubeSimError
from kubesim.quantity import parse_duration
from kubesim.rest import RestServer
from kubesim.rest.kubeconfig import kubeconfig_text
from kubesim.rest.users import read_users
from kubesim.table import Table
from kubesim.version import KUBERNETES_VERSION, __version__

TRY = """
Try, in another terminal:
  curl {url}/api/pods
  curl -X POST {url}/api/pods -d '{{"name": "my-first-pod"}}'
  curl {url}/api/pods/ID
  curl -X DELETE {url}/api/pods/ID
  curl {url}/api/hpa/config
  curl -X POST {url}/api/hpa/config -d '{{"target_cpu": 75, "interval": "10s"}}'
  curl {url}/api/nodes
  curl -N {url}/api/watch?kind=Pod          (every change, as it happens)
  curl {url}/api/explain/hpa/auto-pod       (why the autoscaler decided what it did)
  {kubectl}
{kubeconfig}
Ctrl-C ends the server.
"""
KUBECONFIG = """
This is its kubeconfig, for kubectl and the official clients. To save it and use it:
  python -m kubesim kubeconfig{options} --out kubesim.yaml
  kubectl --kubeconfig kubesim.yaml get pods

{text}"""
KUBECONFIG_WITH_SECRETS = """
Its kubeconfig is not printed, for it holds a secret or a certificate. To write it and use it:
  {command}
  kubectl --kubeconfig kubesim.yaml get pods"""
KUBECONFIG_WITH_TOKEN = """
Its kubeconfig is not printed, for it holds a secret. To write it, for the official Python client:
  {command}
(kubectl sends a token over TLS alone: start with --tls for it.)"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except (KubeSimError, OSError) as error:
        print(f"kubesim: {error}", file=sys.stderr)
        return 1


def serve(options: argparse.Namespace) -> int:
    """Boot a cluster on the live clock and serve it until SIGINT or SIGTERM."""
    ended: SimpleQueue[int] = SimpleQueue()

    def end(number: int, _frame: FrameType | None) -> None:
        # The one thing that is safe here: put() may interrupt get() of the same thread. An Event
        # may not: set() waits for the lock that wait() holds, and the server never ends.
        ended.put(number)

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    cluster = Cluster(
        options.nodes,
        seed=options.seed,
        clock="live",
        speed=options.speed,
        hpa=not options.no_hpa,
        sink=_say,
    )
    try:
        server = cluster.serve(
            options.host,
            options.port,
            token=options.token,
            users=read_users(options.users) if options.users else (),
            tls=options.tls,
            read_only=options.read_only,
        )
        _say(f"[INFO] REST: Listening: {server.url} ({options.nodes} nodes, seed {options.seed})")
        if options.kubeconfig:
            server.kubeconfig(options.kubeconfig)
            _say(f"[INFO] REST: Kubeconfig: written to {options.kubeconfig}")
        about = {
            "kubectl": _kubectl_line(options, server.url),
            "kubeconfig": _saved(options, server),
        }
        _say(TRY.format(url=server.url, **about))
        ended.get()
        _say("[INFO] REST: Stopping: closing the server and stopping the pods ...")
    finally:
        cluster.close()
        for number, handler in previous.items():
            signal.signal(number, handler)
    _say("[INFO] REST: Stopped: bye.")
    return 0


def run(options: argparse.Namespace) -> int:
    """Run a cluster on the virtual clock and print what happened."""
    seconds = options.duration
    with Cluster(options.nodes, seed=options.seed, hpa=True, digest=True) as cluster:
        if options.rate is not None:
            cluster.set_traffic(options.rate)
        cluster.sleep(seconds)
        print(cluster.pods())
        print()
        scalings = [
            (d.time, d.data.get("from"), d.data.get("to"), d.verdict)
            for d in cluster.decisions.of("hpa/auto-pod")
            if d.data.get("from") != d.data.get("to")
        ]
        print(Table(("time [s]", "from", "to", "why"), scalings, "the newest scalings"))
        print()
        print(f"revision {cluster.store.revision}, seed {options.seed}, digest {cluster.digest()}")
    return 0


def _kubectl_line(options: argparse.Namespace, url: str) -> str:
    """How kubectl is called for this server; over plain HTTP it sends no token (client-go's
    tools/clientcmd/client_config.go), whatever its kubeconfig says."""
    if (options.token or options.users) and not options.tls:
        return "kubectl sends a token only over TLS: start with --tls --kubeconfig FILE"
    if options.kubeconfig:
        return f"kubectl --kubeconfig {options.kubeconfig} get pods,nodes,hpa"
    if options.tls:
        return "kubectl needs the file that the option --kubeconfig FILE writes"
    return f"kubectl --server {url} get pods,nodes,hpa   (any kubectl from 1.27 on)"


def _saved(options: argparse.Namespace, server: RestServer) -> str:
    """What kubectl needs to find this server, and how it is kept; never a secret."""
    if options.kubeconfig:
        return f"\nIts kubeconfig is in {options.kubeconfig}."
    words = "" if server.host == "127.0.0.1" else f" --host {server.host}"
    words += "" if server.port == 8080 else f" --port {server.port}"
    if options.tls:  # its certificate is new with each start
        command = (
            "python -m kubesim serve --tls --kubeconfig kubesim.yaml   (and your other options)"
        )
        return KUBECONFIG_WITH_SECRETS.format(command=command)
    if options.token or options.users:
        command = f"python -m kubesim kubeconfig{words} --token TOKEN --out kubesim.yaml"
        return KUBECONFIG_WITH_TOKEN.format(command=command)
    return KUBECONFIG.format(options=words, text=indent(server.kubeconfig(), "    "))


def kubeconfig(options: argparse.Namespace) -> int:
    """Print or write the kubeconfig of a server that runs, or will."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    if options.tls_cert:
        authority: str | None = Path(options.tls_cert).read_text(encoding="utf-8")
    else:
        authority = None
    scheme = "http" if authority is None else "https"
    url = f"{scheme}://{host}:{options.port}"
    text = kubeconfig_text(url, token=options.token, authority=authority)
    if options.out is None:
        print(text, end="")
        return 0
    Path(options.out).touch(0o600)
    Path(options.out).write_text(text, encoding="utf-8")
    print(f"written; now: export KUBECONFIG={options.out}; kubectl get pods")
    return 0


def _say(line: str) -> None:
    # One write for a line: print() makes two, and many threads speak here.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubesim",
        description=f"A Kubernetes laboratory; mirrors Kubernetes {KUBERNETES_VERSION}.",
    )
    parser.add_argument("--version", action="version", version=f"kubesim {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    served = commands.add_parser("serve", help="a cluster on the live clock behind HTTP")
    served.add_argument("--host", default="127.0.0.1", help="address to bind (127.0.0.1)")
    served.add_argument("--port", type=_port, default=8080, help="port to bind; 0: any free (8080)")
    served.add_argument("--nodes", type=_count, default=3, help="number of nodes (3)")
    served.add_argument("--speed", type=_speed, default=1.0, help="simulated seconds a second (1)")
    served.add_argument("--seed", type=int, default=0, help="seed of all randomness (0)")
    served.add_argument("--no-hpa", action="store_true", help="boot without auto-pod and its HPA")
    served.add_argument("--token", help="ask for this bearer token; a must beyond loopback")
    served.add_argument("--users", metavar="FILE", help="users with tokens and rules, as JSON")
    served.add_argument("--tls", action="store_true", help="speak TLS; needs the program openssl")
    served.add_argument("--read-only", action="store_true", help="refuse every change")
    served.add_argument("--kubeconfig", metavar="FILE", help="write a kubeconfig for kubectl")
    served.set_defaults(command=serve)

    file = commands.add_parser("kubeconfig", help="the file by which kubectl finds a server")
    file.add_argument("--out", metavar="FILE", help="where to write it (to the screen)")
    file.add_argument("--host", default="127.0.0.1", help="where the server is (127.0.0.1)")
    file.add_argument("--port", type=_port, default=8080, help="its port (8080)")
    file.add_argument("--token", help="the bearer token that it asks for")
    file.add_argument("--tls-cert", metavar="FILE", help="its certificate, if it speaks TLS")
    file.set_defaults(command=kubeconfig)

    ran = commands.add_parser("run", help="a cluster on the virtual clock, as fast as it goes")
    ran.add_argument("--duration", type=_duration, default=3600.0, help="simulated time (1h)")
    ran.add_argument("--nodes", type=_count, default=3, help="number of nodes (3)")
    ran.add_argument("--seed", type=int, default=0, help="seed of all randomness (0)")
    ran.add_argument("--rate", type=float, help="requests per second to auto-pod (none)")
    ran.set_defaults(command=run)
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; take a number from 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 5_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; take a number from 0 to 5000")
    return int(text)


def _speed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed; take a number from 0.01 to 1000")
    return value


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time to run; try 10m or 24h")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
