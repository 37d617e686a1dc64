"""The command line: ``python -m kubesim serve``, ``run``, ``kubeconfig`` and ``kinds``.

`serve` starts a cluster on the live clock behind an HTTP server (the original simulator's
``go run cmd/main.go``). `kubeconfig` writes the configuration file for kubectl. `run` simulates the
same cluster on the virtual clock, much faster than real time. `kinds` lists which kinds of
Kubernetes are simulated, which are only kept, and which are left out.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import indent

INTERRUPTED = 130  # exit code of a program that Ctrl-C ended, as shells count: 128 + SIGINT
# Ctrl-C while the modules are loaded, which takes up to a second, ends the program at once: nothing
# needs to be tidied up, and an exception in the middle of an import may come out as another one.
LOADING = __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler
if LOADING:
    signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(INTERRUPTED))
try:
    from kubesim import kindtable
    from kubesim.clock.collector import Freezer
    from kubesim.clock.interrupts import stop_signals
    from kubesim.cluster import Cluster
    from kubesim.errors import KubeSimError
    from kubesim.kubelet import JOB_SECONDS
    from kubesim.quantity import parse_duration
    from kubesim.rest import RestServer
    from kubesim.rest.kubeconfig import kubeconfig_text, write_kubeconfig
    from kubesim.rest.server import check_exposure
    from kubesim.rest.users import User, read_users
    from kubesim.table import Table
    from kubesim.version import KUBERNETES_VERSION, __version__
except KeyboardInterrupt:  # the installed command imports this module
    sys.exit(INTERRUPTED)
if LOADING:
    signal.signal(signal.SIGINT, signal.default_int_handler)

EXAMPLES = """
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
    """Run the command line and return the exit code.

    Args:
        arguments: the words after the program's name; None: those of this process, which ends
            when `main` returns.
    """
    options = _parser().parse_args(arguments)
    options.process_ends = arguments is None
    try:
        return int(options.command(options))
    except (KubeSimError, OSError) as error:
        print(f"kubesim: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if not options.process_ends:
            raise
        return INTERRUPTED
    finally:
        if options.process_ends:
            _give_up_broken_output()


def serve(options: argparse.Namespace) -> int:
    """Serve a cluster on the live clock until SIGINT or SIGTERM.

    Raises:
        BadRequest, OSError: options that no server is started with, before a cluster is.
    """
    users = read_users(options.users) if options.users else []
    check_exposure(options.host, options.token, users)
    freezer, restore = Freezer(), not options.process_ends
    with stop_signals(freezer, restore=restore) as wait_for_signal:
        cluster = Cluster(
            options.nodes,
            seed=options.seed,
            clock="live",
            speed=options.speed,
            hpa=not options.no_hpa,
            sink=_print_line,
            job_seconds=options.job_seconds,
            quota_backend_bytes=options.quota_backend_bytes,
        )
        try:
            _start_server(options, cluster, users)
            wait_for_signal()
            _say("[INFO] REST: Stopping: closing the server and stopping the pods ...")
        finally:
            cluster.close()
            freezer.close()
    _say("[INFO] REST: Stopped: bye.")
    return 0


def _start_server(options: argparse.Namespace, cluster: Cluster, users: list[User]) -> None:
    """Start the HTTP server and print how to use it."""
    server = cluster.serve(
        options.host,
        options.port,
        token=options.token,
        users=users,
        tls=options.tls,
        read_only=options.read_only,
        kubeconfig=options.kubeconfig,
    )
    about = f"{options.nodes} nodes, seed {options.seed}"
    _say(f"[INFO] REST: Listening: {server.url} ({about})")
    if options.kubeconfig:
        _say(f"[INFO] REST: Kubeconfig: written to {options.kubeconfig}")
    kubectl, kubeconfig = _kubectl_command(options, server.url), _kubeconfig_notes(options, server)
    _say(EXAMPLES.format(url=server.url, kubectl=kubectl, kubeconfig=kubeconfig))


def run(options: argparse.Namespace) -> int:
    """Simulate a cluster on the virtual clock and print its pods, scalings and digest."""
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


def list_kinds(options: argparse.Namespace) -> int:
    """List every kind of Kubernetes, and what kubesim does with it."""
    if options.markdown:
        print(kindtable.page(), end="")
        return 0
    print(kindtable.table())
    print(f"\n{kindtable.summary()}")
    return 0


def _kubectl_command(options: argparse.Namespace, url: str) -> str:
    """Return the kubectl command for this server.

    kubectl sends no token over plain HTTP, whatever its kubeconfig says.
    Source: k8s.io/client-go/tools/clientcmd/client_config.go.
    """
    if (options.token or options.users) and not options.tls:
        return "kubectl sends a token only over TLS: start with --tls --kubeconfig FILE"
    if options.kubeconfig:
        return f"kubectl --kubeconfig {options.kubeconfig} get pods,nodes,hpa"
    if options.tls:
        return "kubectl needs the file that the option --kubeconfig FILE writes"
    return f"kubectl --server {url} get pods,nodes,hpa   (any kubectl from 1.27 on)"


def _kubeconfig_notes(options: argparse.Namespace, server: RestServer) -> str:
    """Return how to get the server's kubeconfig: the file itself only if it holds no secret."""
    if options.kubeconfig:
        return f"\nIts kubeconfig is in {options.kubeconfig}."
    flags = "" if server.host == "127.0.0.1" else f" --host {server.host}"
    flags += "" if server.port == 8080 else f" --port {server.port}"
    if options.tls:  # its certificate is new with each start
        command = (
            "python -m kubesim serve --tls --kubeconfig kubesim.yaml   (and your other options)"
        )
        return KUBECONFIG_WITH_SECRETS.format(command=command)
    if options.token or options.users:
        command = f"python -m kubesim kubeconfig{flags} --token TOKEN --out kubesim.yaml"
        return KUBECONFIG_WITH_TOKEN.format(command=command)
    return KUBECONFIG.format(options=flags, text=indent(server.kubeconfig(), "    "))


def kubeconfig(options: argparse.Namespace) -> int:
    """Print or write the kubeconfig of a server, running or not."""
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
    write_kubeconfig(options.out, text)
    print(f"written; now: export KUBECONFIG={options.out}; kubectl get pods")
    return 0


def _print_line(line: str) -> None:
    # One write per line: print() makes two, and many threads print.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _say(line: str) -> None:
    """Print a line of the command itself; the server does not need anybody to read it."""
    with suppress(OSError, ValueError, AttributeError):  # reader gone, disk full; closed; no stdout
        _print_line(line)


def _give_up_broken_output() -> None:
    """Replace a standard output that takes nothing more, so that the interpreter ends quietly.

    Its buffer would be written once more at the end: a second error, and exit code 120.
    Source: docs.python.org/3/library/signal.html, note on SIGPIPE.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubesim",
        description=f"A Kubernetes laboratory; mirrors Kubernetes {KUBERNETES_VERSION}.",
    )
    parser.add_argument("--version", action="version", version=f"kubesim {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    served = commands.add_parser("serve", help="serve a cluster on the live clock over HTTP")
    served.add_argument("--host", default="127.0.0.1", help="address to bind (127.0.0.1)")
    served.add_argument("--port", type=_port, default=8080, help="port to bind; 0: any free (8080)")
    served.add_argument("--nodes", type=_count, default=3, help="number of nodes (3)")
    served.add_argument(
        "--speed", type=_speed, default=1.0, help="simulated seconds per second (1)"
    )
    served.add_argument("--seed", type=int, default=0, help="seed of all randomness (0)")
    served.add_argument("--no-hpa", action="store_true", help="boot without auto-pod and its HPA")
    served.add_argument(
        "--job-seconds",
        type=_seconds,
        default=JOB_SECONDS,
        help=f"run time of work whose command is not simulated ({JOB_SECONDS:g})",
    )
    quota_help = "size of the store; 0: 1 GiB; -1: any (0)"
    served.add_argument("--quota-backend-bytes", type=int, default=0, help=quota_help)
    served.add_argument(
        "--token",
        help="require this bearer token (beyond loopback it is needed: 8 characters or more)",
    )
    served.add_argument("--users", metavar="FILE", help="users with tokens and rules, as JSON")
    served.add_argument("--tls", action="store_true", help="serve over TLS; needs openssl")
    served.add_argument("--read-only", action="store_true", help="refuse every change")
    served.add_argument("--kubeconfig", metavar="FILE", help="write a kubeconfig for kubectl")
    served.set_defaults(command=serve)

    file = commands.add_parser("kubeconfig", help="write a kubeconfig for kubectl")
    file.add_argument("--out", metavar="FILE", help="output file (default: stdout)")
    file.add_argument("--host", default="127.0.0.1", help="server address (127.0.0.1)")
    file.add_argument("--port", type=_port, default=8080, help="server port (8080)")
    file.add_argument("--token", help="the bearer token of the server")
    file.add_argument("--tls-cert", metavar="FILE", help="server certificate (with TLS)")
    file.set_defaults(command=kubeconfig)

    _add_kinds(commands)
    ran = commands.add_parser("run", help="simulate a cluster on the virtual clock")
    ran.add_argument("--duration", type=_duration, default=3600.0, help="simulated time (1h)")
    ran.add_argument("--nodes", type=_count, default=3, help="number of nodes (3)")
    ran.add_argument("--seed", type=int, default=0, help="seed of all randomness (0)")
    ran.add_argument("--rate", type=float, help="requests per second to auto-pod (none)")
    ran.set_defaults(command=run)
    return parser


def _add_kinds(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    kinds = commands.add_parser("kinds", help="list the kinds: simulated, only kept, left out")
    kinds.add_argument(
        "--markdown", action="store_true", help="print the page of the documentation"
    )
    kinds.set_defaults(command=list_kinds)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a valid port; use a number from 0 to 65535"
        )
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 5_000:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a valid count; use a number from 0 to 5000"
        )
    return int(text)


def _speed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1_000:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a valid speed; use a number from 0.01 to 1000"
        )
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds; use 5 or 0.5")
    return value


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid duration; use 10m or 24h")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
