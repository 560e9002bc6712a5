"""Who the agent is, and what it may do, changes while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import objects
from rig.agent import Agent, wait_until
from rig.api import kubeconfig
from rig.api.certificates import Authority, Certificate
from rig.api.cluster import API_IPS, SERVER_NAMES, URLS
from rig.api.server import PORT
from rig.client import outcome
from rig.cluster import cluster_ip
from rig.frontends import Frontends, everywhere, without_failures
from rig.live.client import ApiError, reference
from rig.live.cluster import LiveCluster
from rig.live.control_plane import USER, ControlPlane
from rig.objects import Object

PODS = ("web-1", "web-3")
ROLE = reference("ClusterRole", "kube-router")


@pytest.fixture
def own_cluster() -> Iterator[LiveCluster]:
    """A cluster whose API server a test may start with other keys."""
    with LiveCluster() as made:
        made.add_pods(made.node1, "web-1", "shell")
        made.add_pods(made.node2, "web-3")
        yield made


def web_of(cluster: LiveCluster, agent: Agent) -> Frontends:
    """A Service that the agent has committed."""
    made = everywhere(cluster, "web", *PODS)
    cluster.settle(agent)
    return made


def started(cluster: LiveCluster, user: Object, **of_cluster: object) -> Agent:
    """An agent with these credentials that has committed all there is."""
    agent = cluster.agent(source=cluster.kubeconfig(user, **of_cluster))
    agent.start()
    cluster.settle(agent)
    return agent


def write(path: Path, content: bytes) -> None:
    """Put @content into a file in one step, as a kubelet does."""
    hidden = path.with_name(f".{path.name}.new")
    hidden.write_bytes(content)
    hidden.replace(path)


def refused(api: ControlPlane) -> bool:
    """Whether somebody has not been let in."""
    return bool(api.requests(""))


# Who it is ----------------------------------------------------------------------------------------


def token_of(api: ControlPlane, name: str) -> bytes:
    """A token that ends when the Secret @name does."""
    secret = api.admin.create({"apiVersion": "v1", **reference("Secret", name, "kube-system")})
    return api.new_token(bound_to=secret).encode()


@pytest.mark.parametrize("when", ["before", "after"])
def test_A7_token_rotated(own_cluster: LiveCluster, when: str) -> None:
    api, token = own_cluster.api, own_cluster.secrets / "rotated"
    write(token, token_of(api, "first"))
    agent = started(own_cluster, kubeconfig.with_token_file(token))
    web, second = web_of(own_cluster, agent), token_of(api, "second")
    with without_failures(web) as probes:
        if when == "before":
            write(token, second)
        api.admin.delete(reference("Secret", "first", "kube-system"))
        # A watch that runs goes on; the next one has to show a token.
        api.restart_api_server()
        if when == "after":
            agent.wait_until("a refusal", lambda: refused(api))
            write(token, second)
        own_cluster.settle(agent)
        probes.wait_connections(20)
    own_cluster.check(agent)


def install(files: Certificate, made: Certificate) -> None:
    """Renew certificate and key, one after the other, as nobody can do both at once."""
    write(files.key, made.key.read_bytes())
    write(files.certificate, made.certificate.read_bytes())


@pytest.mark.parametrize("when", ["before", "after"])
def test_A7_client_certificate_rotated(own_cluster: LiveCluster, when: str) -> None:
    api, folder = own_cluster.api, own_cluster.secrets
    following = Authority(folder / "following-ca", "following", own_cluster.canaries)
    files = Certificate(folder / "agent.crt", folder / "agent.key")

    old, new = (a.client(USER) for a in (own_cluster.client_authority, following))
    install(files, old)
    agent = started(own_cluster, kubeconfig.with_certificate(files))
    web = web_of(own_cluster, agent)
    with without_failures(web) as probes:
        if when == "before":
            install(files, new)
        api.restart_api_server(f"--client-ca-file={following.path}")
        if when == "after":
            agent.wait_until("a refusal", lambda: refused(api))
            install(files, new)
        own_cluster.settle(agent)
        probes.wait_connections(20)
    own_cluster.check(agent)


def answer_to(cluster: LiveCluster, own: Certificate) -> str:
    """The status by which the API server answers somebody with this certificate."""
    argv = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]
    argv += ["--cacert", str(cluster.authority.path), f"{URLS[4]}/api/v1/services"]
    return cluster.client.run(*argv, "--cert", str(own.certificate), "--key", str(own.key))


def test_A7_client_certificate_rotated_on_a_living_connection(own_cluster: LiveCluster) -> None:
    api, folder = own_cluster.api, own_cluster.secrets
    first = own_cluster.client_authority
    following = Authority(folder / "following-ca", "following", own_cluster.canaries)
    trusted, files = folder / "clients.crt", Certificate(folder / "agent.crt", folder / "agent.key")
    write(trusted, first.path.read_bytes())
    api.restart_api_server(f"--client-ca-file={trusted}")
    old, new = first.client(USER), following.client(USER)
    install(files, old)
    agent = started(own_cluster, kubeconfig.with_certificate(files))
    write(trusted, following.path.read_bytes())
    wait_until("the other authority to count", lambda: answer_to(own_cluster, old) == "401")
    install(files, new)
    # The watches go on, but what the agent has to say is refused on their connection.
    ips = cluster_ip(own_cluster.new_number()).values()
    own_cluster.apply("wrong", objects.service("wrong", ips, externalIPs=["192.0.2.7"]))
    agent.wait_until("an Event", lambda: "wrong" in own_cluster.events())
    own_cluster.check(agent)


@pytest.mark.parametrize("when", ["before", "after"])
def test_A13_authority_replaced(own_cluster: LiveCluster, when: str) -> None:
    api, trusted = own_cluster.api, own_cluster.secrets / "trusted.crt"
    following = Authority(own_cluster.secrets / "following-ca", "following", own_cluster.canaries)
    serving = following.server(*SERVER_NAMES)
    write(trusted, own_cluster.authority.path.read_bytes())
    user = kubeconfig.with_token(own_cluster.token)
    agent = started(own_cluster, user, certificate_authority=str(trusted))
    web = web_of(own_cluster, agent)
    with without_failures(web) as probes:
        if when == "before":
            write(trusted, following.path.read_bytes())
        api.admin = api.client(authority=following.path)
        api.restart_api_server(
            f"--tls-cert-file={serving.certificate}", f"--tls-private-key-file={serving.key}"
        )
        if when == "after":
            agent.wait_logged("certificate")
            write(trusted, following.path.read_bytes())
        own_cluster.settle(agent)
        probes.wait_connections(20)
    own_cluster.check(agent)


def test_A14_in_a_pod_over_ipv6(own_cluster: LiveCluster) -> None:
    account = own_cluster.secrets / "account"
    account.mkdir()
    write(account / "token", own_cluster.token.encode())
    write(account / "ca.crt", own_cluster.authority.path.read_bytes())
    script = f"""
        mount -t tmpfs none /run
        mkdir -p /run/secrets/kubernetes.io
        ln -s {account} /run/secrets/kubernetes.io/serviceaccount
        exec "$@"
    """
    variables = [f"KUBERNETES_SERVICE_HOST={API_IPS[6]}", f"KUBERNETES_SERVICE_PORT={PORT}"]
    wrapper = ["env", *variables, "unshare", "--mount", "sh", "-ec", script, "sh"]
    agent = own_cluster.agent(source=(), wrapper=wrapper)
    agent.start()
    web = web_of(own_cluster, agent)
    assert outcome(own_cluster.client, *web.at("node-port", 6)) in PODS


# What it may do -----------------------------------------------------------------------------------


@contextlib.contextmanager
def forbidden(api: ControlPlane, kind: str, resource: str) -> Iterator[None]:
    """Take a resource out of the agent's ClusterRole for a while. Watches that run go on."""
    rules = api.admin.get(ROLE)["rules"]
    fewer = [{**rule, "resources": [r for r in rule["resources"] if r != resource]} for rule in rules]
    probe = api.client(api.new_token())

    def is_refused() -> bool:
        try:
            probe.list(kind)
        except ApiError as error:
            return error.status == 403
        return False

    api.admin.patch(ROLE, {"rules": [rule for rule in fewer if rule["resources"]]})
    try:
        wait_until("the role to be less", is_refused)
        yield
    finally:
        api.admin.patch(ROLE, {"rules": rules})


def agent_requests(api: ControlPlane) -> list[Object]:
    """Those of agents, not of others who have a token of their account."""
    return [r for r in api.requests() if r.get("userAgent", "").startswith("kube-nft/")]


def refusals(api: ControlPlane, resource: str) -> int:
    """How often agents were told that they must not read this."""
    return sum(
        r["objectRef"]["resource"] == resource and r["responseStatus"]["code"] == 403
        for r in agent_requests(api)
    )


@pytest.mark.parametrize(
    ("kind", "resource"), [("EndpointSlice", "endpointslices"), ("Node", "nodes")]
)
def test_A8_forbidden_while_it_runs(
    cluster: LiveCluster, agent: Agent, kind: str, resource: str
) -> None:
    api, web = cluster.api, web_of(cluster, agent)
    before = refusals(api, resource)
    other = objects.service("other", cluster_ip(cluster.new_number()).values())
    address = other["spec"]["clusterIP"]
    with without_failures(web) as probes:
        with forbidden(api, kind, resource):
            api.restart_api_server()
            agent.wait_until("a refusal", lambda: refusals(api, resource) > before)
            agent.wait_logged(resource)
            # The other kinds are followed as ever: nobody serves this one yet, and that shows.
            cluster.apply("other", other)
            agent.wait_until(
                "the other Service", lambda: outcome(cluster.client, address, 80) == "refused"
            )
            probes.wait_connections(200)
            # It asks again, but ever more seldom.
            assert refusals(api, resource) - before < 20
        cluster.check(agent)


@pytest.mark.parametrize(
    ("kind", "resource"), [("EndpointSlice", "endpointslices"), ("Service", "services")]
)
def test_A8_forbidden_at_start(
    cluster: LiveCluster, agent: Agent, kind: str, resource: str
) -> None:
    api, web = cluster.api, web_of(cluster, agent)
    before = refusals(api, resource)
    with without_failures(web) as probes:
        agent.stop()
        with forbidden(api, kind, resource):
            agent.start()
            agent.wait_until("a refusal", lambda: refusals(api, resource) > before)
            agent.wait_logged(resource)
            probes.wait_connections(200)
            assert agent.running
        cluster.check(agent)


def test_shipped_role_is_enough(own_cluster: LiveCluster) -> None:
    agent = own_cluster.agent()
    agent.start()
    web_of(own_cluster, agent)
    codes = {r["responseStatus"]["code"] for r in agent_requests(own_cluster.api)}
    assert codes <= {200, 201}
