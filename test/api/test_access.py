"""Who the agent is and who the server is: rows A7, A13, A14, A18 and every kind of kubeconfig."""

from __future__ import annotations

import base64
import datetime
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import objects
from rig.agent import Agent, wait_until
from rig.api import kubeconfig, proxy, scripts
from rig.api.certificates import EXPIRED, NOT_YET_VALID, Authority, Certificate
from rig.api.cluster import API_IPS, KINDS, SERVER_NAMES, URLS, ApiCluster
from rig.api.kubernetes import WatchList
from rig.api.plugin import Plugin, credential
from rig.api.server import PORT, Handshake
from rig.cluster import CLIENT_IPS
from rig.mounts import mounted

ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
PROXY_PORT = 3128


def started(cluster: ApiCluster, agent: Agent) -> Agent:
    agent.start()
    cluster.settle(agent)
    return agent


def replace(path: Path, text: str) -> None:
    """Write @path in one step, as kubelet does it with what it renews."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="ascii")
    new.replace(path)


def replace_certificate(held: Certificate, new: Certificate) -> None:
    for path, source in ((held.key, new.key), (held.certificate, new.certificate)):
        replace(path, source.read_text(encoding="ascii"))


def refused(cluster: ApiCluster, since: int) -> int:
    """How many requests were answered 401."""
    return sum(r.status == 401 for r in cluster.api.asked(since=since))


def check_401(cluster: ApiCluster, agent: Agent, mark: int) -> None:
    """All goes on after the old credentials were refused, at the first new attempt."""
    cluster.api.close_watches()
    cluster.settle(agent)
    assert 1 <= refused(cluster, mark) <= len(KINDS)
    assert not cluster.api.asked("list", "watchlist", since=mark)
    assert not agent.logged("level=error")


# A7 ----------------------------------------------------------------------------------------------


@pytest.fixture
def token_file(cluster: ApiCluster) -> Path:
    path = cluster.secrets / "token"
    path.write_text(cluster.token + "\n", encoding="ascii")
    return path


def test_A7_token_file_is_read_again(cluster: ApiCluster, token_file: Path) -> None:
    agent = started(
        cluster, cluster.agent(source=cluster.kubeconfig({"tokenFile": str(token_file)}))
    )
    for _ in range(3):
        cluster.api.tokens.clear()
        replace(token_file, cluster.new_token())
        check_401(cluster, agent, cluster.api.mark)


def test_A7_token_expired_before_there_is_another(cluster: ApiCluster, token_file: Path) -> None:
    agent = started(
        cluster, cluster.agent(source=cluster.kubeconfig({"tokenFile": str(token_file)}))
    )
    cluster.api.tokens.clear()
    mark = cluster.api.mark
    cluster.api.close_watches()
    agent.wait_logged("(?i)unauthorized|401")
    # One attempt more after each, then the back-off: at most three rounds in that time.
    cluster.api.wait_asked("watch", resource="services", since=mark, count=4)
    assert refused(cluster, mark) <= 8 * len(KINDS)
    replace(token_file, cluster.new_token())
    cluster.settle(agent)


def test_A7_certificate_is_read_again(cluster: ApiCluster) -> None:
    held = cluster.client_authority.client("first")
    cluster.api.users = {"first"}
    source = cluster.kubeconfig(kubeconfig.with_certificate(held))
    agent = started(cluster, cluster.agent(source=source))
    for user in ("second", "third"):
        cluster.api.users = {user}
        replace_certificate(held, cluster.client_authority.client(user))
        mark = cluster.api.mark
        cluster.api.close_watches()
        cluster.settle(agent)
        assert not cluster.api.asked("list", "watchlist", since=mark)
        assert cluster.api.connections[-1].user == user


def test_A7_plugin_is_run_again(cluster: ApiCluster) -> None:
    plugin = Plugin(cluster.secrets)
    plugin.print(credential(token=cluster.token))
    source = cluster.kubeconfig(kubeconfig.with_plugin(plugin.command))
    agent = started(cluster, cluster.agent(source=source))
    assert len(plugin.processes()) == 1
    cluster.api.tokens.clear()
    plugin.print(credential(token=cluster.new_token()))
    check_401(cluster, agent, cluster.api.mark)
    assert 2 <= len(plugin.processes()) <= 1 + len(KINDS)


def test_A7_plugin_is_run_before_its_credential_expires(cluster: ApiCluster) -> None:
    plugin = Plugin(cluster.secrets)
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=5)
    expires = soon.strftime("%Y-%m-%dT%H:%M:%SZ")
    plugin.print(credential(token=cluster.token, expirationTimestamp=expires))
    cluster.api.behaviour.watch_s = 1
    source = cluster.kubeconfig(kubeconfig.with_plugin(plugin.command))
    agent = started(cluster, cluster.agent(source=source))
    plugin.print(credential(token=cluster.new_token()))
    agent.wait_until("the plugin to run again", lambda: len(plugin.processes()) > 1)
    assert refused(cluster, 0) == 0


# Kubeconfigs -------------------------------------------------------------------------------------


def test_kubeconfig_with_a_certificate(cluster: ApiCluster) -> None:
    own = cluster.client_authority.client("kube-nft", ["system:nodes"])
    cluster.api.users = {"kube-nft"}
    started(cluster, cluster.agent(source=cluster.kubeconfig(kubeconfig.with_certificate(own))))
    assert not any("authorization" in r.headers for r in cluster.api.requests)


def test_kubeconfig_with_everything_inline(cluster: ApiCluster) -> None:
    own = cluster.client_authority.client("kube-nft")
    cluster.api.users = {"kube-nft"}
    source = cluster.kubeconfig(kubeconfig.with_inline_certificate(own))
    started(cluster, cluster.agent(source=source))


def test_kubeconfig_with_a_certificate_of_a_plugin(cluster: ApiCluster) -> None:
    own = cluster.client_authority.client("by-plugin")
    cluster.api.users = {"by-plugin"}
    plugin = Plugin(cluster.secrets)
    texts = {
        "clientCertificateData": own.certificate.read_text(encoding="ascii"),
        "clientKeyData": own.key.read_text(encoding="ascii"),
    }
    plugin.print(credential(**texts))
    source = cluster.kubeconfig(kubeconfig.with_plugin(plugin.command))
    started(cluster, cluster.agent(source=source))


def test_kubeconfig_with_a_password(cluster: ApiCluster) -> None:
    password = cluster.canaries.new("password")
    cluster.api.passwords = {f"agent:{password}"}
    source = cluster.kubeconfig(kubeconfig.with_password("agent", password))
    started(cluster, cluster.agent(source=source))


@pytest.fixture
def proxy_url(cluster: ApiCluster) -> Iterator[str]:
    """A proxy on the client's host."""
    argv = [sys.executable, "-IS", proxy.__file__, str(PROXY_PORT)]
    process = cluster.client.spawn(argv, stdout=subprocess.PIPE)
    try:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield f"http://{CLIENT_IPS[4]}:{PROXY_PORT}"
    finally:
        process.kill()
        process.wait()


def check_proxied(cluster: ApiCluster) -> None:
    assert {c.client for c in cluster.api.connections} == {CLIENT_IPS[4]}


def test_kubeconfig_with_a_proxy(cluster: ApiCluster, proxy_url: str) -> None:
    user = kubeconfig.with_token(cluster.token)
    source = cluster.kubeconfig(user, proxy_url=proxy_url)
    started(cluster, cluster.agent(source=source))
    check_proxied(cluster)


def test_proxy_of_the_environment(cluster: ApiCluster, proxy_url: str) -> None:
    wrapper = ("env", f"HTTPS_PROXY={proxy_url}")
    agent = started(cluster, cluster.agent(wrapper=wrapper))
    check_proxied(cluster)
    agent.stop()
    mark = len(cluster.api.connections)
    excepted = f"NO_PROXY={API_IPS[4]}"
    started(cluster, cluster.agent(wrapper=(*wrapper, excepted), name="direct"))
    assert {c.client for c in cluster.api.connections[mark:]} == {cluster.node1.ips[4]}


def test_S7_password_of_a_proxy(cluster: ApiCluster) -> None:
    password = cluster.canaries.new("proxy")
    proxy_url = f"http://agent:{password}@{CLIENT_IPS[4]}:{PROXY_PORT}"
    user = kubeconfig.with_token(cluster.token)
    agent = cluster.agent(source=cluster.kubeconfig(user, proxy_url=proxy_url))
    agent.start()
    agent.wait_logged("level=warn.*proxy")


BROKEN_USERS = {
    "no end": '{"token": "SECRET',
    "no text": '{"token": ["SECRET"]}',
    "two lines": '{"token": "SECRET\\nSECRET"}',
    "no base64": '{"client-key-data": "SECRET", "client-certificate-data": "SECRET"}',
    "no PEM": '{"client-key-data": "BASE64", "client-certificate-data": "BASE64"}',
    "unknown": '{"token": "SECRET", "SECRET": "SECRET"}',
    "twice": '{"password": "SECRET", "password": "SECRET"}',
}


@pytest.mark.parametrize("broken", BROKEN_USERS)
def test_S7_broken_kubeconfig(cluster: ApiCluster, broken: str) -> None:
    (flag,) = cluster.source
    path = Path(flag.partition("=")[2])
    text = path.read_text(encoding="utf-8")
    secret = cluster.canaries.new("broken")
    encoded = base64.b64encode(secret.encode()).decode()
    user = BROKEN_USERS[broken].replace("SECRET", secret).replace("BASE64", encoded)
    path.write_text(
        re.sub(r"user:\n +token: .*", lambda _: f"user: {user}", text), encoding="utf-8"
    )
    agent = cluster.agent(source=(flag,))
    agent.start()
    # It may end, or not.
    wait_until("a complaint", lambda: bool(agent.logged("level=(warn|error)")))
    assert not any(r.status == 200 for r in cluster.api.requests)


@pytest.mark.parametrize("answer", ["page", "status", "error event", "garbage"])
def test_S7_server_repeats_the_token(cluster: ApiCluster, answer: str) -> None:
    words = f"nobody has {cluster.token}"
    error = {"type": "ERROR", "object": {"kind": "Status", "code": 403, "message": words}}
    verb, script = {
        "page": ("list", scripts.body(words, "text/html", status=500)),
        "status": ("list", scripts.fail(403, "Forbidden", words)),
        "error event": ("watch", scripts.body(json.dumps(error))),
        "garbage": ("list", scripts.body(words)),
    }[answer]
    cluster.api.behaviour.watch_list = WatchList.REFUSED
    cluster.api.on(verb, script=script, resource="services")
    agent = cluster.agent()
    agent.start()
    agent.wait_logged(r"nobody has \*{16}")


def test_insecure_is_said(cluster: ApiCluster) -> None:
    stranger = Authority(cluster.secrets / "stranger", "stranger", cluster.canaries)
    cluster.api.certificate = stranger.server("DNS:elsewhere")
    user = kubeconfig.with_token(cluster.token)
    path = kubeconfig.write(
        cluster.secrets / "insecure", URLS[4], user, insecure_skip_tls_verify=True
    )
    agent = started(cluster, cluster.agent(source=(f"--kubeconfig={path}",)))
    assert agent.logged("level=warn.*(insecure|verif)")


def test_user_agent_says_who_asks(cluster: ApiCluster, agent: Agent) -> None:
    assert agent.running
    for request in cluster.api.requests:
        assert request.headers["user-agent"].startswith("kube-nft/")


def test_one_connection_for_all(cluster: ApiCluster, agent: Agent) -> None:
    cluster.settle(agent)
    assert [c.alpn for c in cluster.api.connections] == ["h2"]


def test_http_1_will_do(cluster: ApiCluster) -> None:
    cluster.api.protocols = ("http/1.1",)
    agent = started(cluster, cluster.agent())
    for n in range(3):
        cluster.apply("web", objects.service("web", [f"10.96.3.{n + 1}"]))
        cluster.settle(agent)


# A13, A18 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [Handshake.SILENT, Handshake.HALF])
def test_A13_handshake_stalls(cluster: ApiCluster, how: Handshake) -> None:
    cluster.api.handshake = how
    agent = cluster.agent()
    agent.start()
    cluster.api.wait_connected()
    cluster.api.handshake = Handshake.NORMAL
    # The deadline, not the server, ends the attempt.
    cluster.settle(agent)


def bad_certificates(cluster: ApiCluster) -> dict[str, tuple[Certificate, str]]:
    """Certificates that must not be accepted, and what must be said about each."""
    stranger = Authority(cluster.secrets / "stranger", "stranger", cluster.canaries)
    return {
        "wrong name": (cluster.authority.server("DNS:elsewhere", "IP:192.0.2.1"), "name|match"),
        "expired": (cluster.authority.server(*SERVER_NAMES, validity=EXPIRED), "expired"),
        "stranger": (stranger.server(*SERVER_NAMES), "issuer|authority|trusted|signer|CA"),
        "not yet valid": (
            cluster.authority.server(*SERVER_NAMES, validity=NOT_YET_VALID),
            "not yet|clock",
        ),
    }


def check_refused(cluster: ApiCluster, bad: Certificate, words: str) -> None:
    """With @bad nothing is asked, and it is said why; with a good one all goes on."""
    good, cluster.api.certificate = cluster.api.certificate, bad
    agent = cluster.agent()
    agent.start()
    agent.wait_logged(f"level=(warn|error).*({words})")
    assert not cluster.api.requests
    assert agent.running
    cluster.api.certificate = good
    cluster.settle(agent)


@pytest.mark.parametrize("kind", ["wrong name", "expired", "stranger"])
def test_A13_certificate_is_refused(cluster: ApiCluster, kind: str) -> None:
    check_refused(cluster, *bad_certificates(cluster)[kind])


def test_A18_certificate_is_not_yet_valid(cluster: ApiCluster) -> None:
    check_refused(cluster, *bad_certificates(cluster)["not yet valid"])


def test_A13_authority_expired(cluster: ApiCluster) -> None:
    old = Authority(cluster.secrets / "old", "old", cluster.canaries, EXPIRED)
    cluster.authority = old
    cluster.api.certificate = old.server(*SERVER_NAMES)
    agent = cluster.agent()
    agent.start()
    agent.wait_logged("level=(warn|error).*expired")
    assert not cluster.api.requests


def test_A13_authority_is_read_again(cluster: ApiCluster) -> None:
    agent = started(cluster, cluster.agent())
    new = Authority(cluster.secrets / "new", "new", cluster.canaries)
    cluster.api.certificate = new.server(*SERVER_NAMES)
    mark = cluster.api.mark
    cluster.api.reset_connections()
    agent.wait_logged("signed by a CA")
    assert len(cluster.api.requests) == mark
    shutil.copy(new.path, cluster.secrets / "next")
    (cluster.secrets / "next").replace(cluster.authority.path)
    cluster.settle(agent)
    assert not cluster.api.asked("list", "watchlist", since=mark)


def test_A13_server_name_is_sent_and_verified(cluster: ApiCluster) -> None:
    cluster.api.certificate = cluster.authority.server("DNS:elsewhere")
    user = kubeconfig.with_token(cluster.token)
    source = cluster.kubeconfig(user, tls_server_name="elsewhere")
    started(cluster, cluster.agent(source=source))
    assert {c.sni for c in cluster.api.connections} == {"elsewhere"}


# A14 ---------------------------------------------------------------------------------------------


def test_A14_in_a_pod(cluster: ApiCluster, family: int) -> None:
    account = cluster.secrets / "account"
    account.mkdir()
    (account / "token").write_text(cluster.token, encoding="ascii")
    (account / "namespace").write_text("kube-system", encoding="ascii")
    shutil.copy(cluster.authority.path, account / "ca.crt")
    environment = (f"KUBERNETES_SERVICE_HOST={API_IPS[family]}", f"KUBERNETES_SERVICE_PORT={PORT}")
    wrapper = ("env", *environment, *mounted({ACCOUNT: account}))
    agent = started(cluster, cluster.agent(source=(), wrapper=wrapper))
    assert {c.server for c in cluster.api.connections} == {API_IPS[family]}
    # Its token is renewed as kubelet does it.
    cluster.api.tokens.clear()
    replace(account / "token", cluster.new_token())
    check_401(cluster, agent, cluster.api.mark)
