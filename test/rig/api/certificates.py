"""Keys and certificates made by openssl(1): authorities, servers, clients; also unusable ones."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .canary import Canaries

DAY = datetime.timedelta(days=1)
# When a certificate is valid, seen from now.
Validity = tuple[datetime.timedelta, datetime.timedelta]
VALID: Validity = (-DAY, DAY)
EXPIRED: Validity = (-2 * DAY, -DAY)
NOT_YET_VALID: Validity = (DAY, 2 * DAY)

CONFIG = """
[ca]
default_ca = authority
[authority]
database = {directory}/index
serial = {directory}/serial
new_certs_dir = {directory}
default_md = sha256
unique_subject = no
policy = any
[any]
organizationName = optional
commonName = supplied
[req]
distinguished_name = empty
[empty]
"""


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as files in PEM."""

    certificate: Path
    key: Path


def _openssl(*argv: str | Path) -> None:
    done = subprocess.run(["openssl", *argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {argv[0]}: {done.stderr}")


def _date(offset: datetime.timedelta) -> str:
    return (datetime.datetime.now(datetime.UTC) + offset).strftime("%Y%m%d%H%M%SZ")


class Authority:
    """Issues certificates. All files are in @directory, which it makes."""

    def __init__(
        self, directory: Path, name: str, canaries: Canaries, validity: Validity = VALID
    ) -> None:
        self.directory = directory
        self.canaries = canaries
        self.serial = 0
        directory.mkdir()
        self.config = directory / "config"
        self.config.write_text(CONFIG.format(directory=directory), encoding="ascii")
        (directory / "index").touch()
        (directory / "serial").write_text("01\n", encoding="ascii")
        extensions = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n"
        self.own: Certificate | None = None
        self.own = self._make(f"/CN={name}", extensions, validity)

    @property
    def path(self) -> Path:
        """The certificate by which those that this authority has issued are verified."""
        assert self.own
        return self.own.certificate

    def server(self, *names: str, validity: Validity = VALID) -> Certificate:
        """A certificate for a server with these host names and addresses ("DNS:x", "IP:y")."""
        extensions = f"extendedKeyUsage=serverAuth\nsubjectAltName={','.join(names)}\n"
        return self._make("/CN=kube-apiserver", extensions, validity)

    def client(
        self, user: str, groups: Sequence[str] = (), *, validity: Validity = VALID
    ) -> Certificate:
        """A certificate that says who its holder is."""
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        return self._make(subject, "extendedKeyUsage=clientAuth\n", validity)

    def _make(self, subject: str, extensions: str, validity: Validity) -> Certificate:
        self.serial += 1
        base = self.directory / str(self.serial)
        made = Certificate(base.with_suffix(".crt"), base.with_suffix(".key"))
        request, more = base.with_suffix(".csr"), base.with_suffix(".ext")
        more.write_text(extensions, encoding="ascii")
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl(
            *("req", "-new", *new_key, "-config", self.config, "-subj", subject),
            *("-keyout", made.key, "-out", request),
        )
        issuer = ("-cert", self.path, "-keyfile", self.own.key) if self.own else ("-selfsign",)
        signer = issuer if self.own else (*issuer, "-keyfile", made.key)
        dates = ("-startdate", _date(validity[0]), "-enddate", _date(validity[1]))
        _openssl(
            *("ca", "-batch", "-notext", "-config", self.config, *signer, *dates),
            *("-extfile", more, "-in", request, "-out", made.certificate),
        )
        self.canaries.add_pem(made.key)
        self.canaries.add_pem(made.certificate)
        return made
