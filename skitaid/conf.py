"""Confs: from the file of one server, or of the fleet, to the settings of the floors below.

Nothing is served from a conf with a mistake in it. All mistakes are told at once, each with
its line (`ConfError`). What stands in a line is read by the table of its section
(`conf_keys`); this file holds only the rules that bind several of them together.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import msgspec

from skitaid import certs, conf_clusters, conf_identity, conf_routes, conf_values
from skitaid.conf_keys import CERTIFICATION, GLOBAL, LIMIT_FIELDS, SERVER, Values, fill
from skitaid.conf_lines import Section
from skitaid.conf_lines import read as read_sections
from skitaid.errors import Complaint, Complaints, ConfError, did_you_mean
from skitaid.supervisor import settings as supervisor
from skitaid.workers import settings as worker

# Printed in the documentation, so known to everybody.
SAMPLE_SECRETS = {
    "securekey": "ASDF34x5=DFu$3FD45i&*YTnU+78",
    "admin_password": "admin-password",
}

_CLUSTER = re.compile(r"@[A-Za-z0-9_.-]+")
_SECTIONS = ("server", "certification", "routes:line")
_SERVERS = ("servers-enabled", "servers-available")  # below etc/skitaid


class FleetSettings(msgspec.Struct, frozen=True):
    """`[global]` of skitaid.conf."""

    home: Path  # absolute; relative paths in confs start here
    var_path: Path  # absolute
    python: str  # runs the servers


def load_server(
    path: str | Path, run_dir: str | Path, env: Mapping[str, str] = os.environ
) -> supervisor.Settings:
    """The settings of the server that the conf at `path` describes.

    The base name of the conf names the server, unless the conf has a `name`. Relative
    targets of routes start at the home (`_home`), certificates are looked up in `../cert` as
    seen from the conf. A symbolic link to a conf counts as being where the link is.
    Raises `ConfError`.
    """
    path = Path(os.path.abspath(path))
    complaints = Complaints(path.name)
    sections = _read(path, env, complaints)
    _complain_of_unknown(sections, complaints)
    defaults = {"name": _base_name(path, complaints), "securekey": _random_key(path)}
    server = fill(sections.get("server"), SERVER, complaints, **defaults)
    _complain_of_sample_secrets(server, complaints)
    inner = _worker(sections, server, path, _home(path, env), run_dir, complaints)
    identity = conf_identity.read(server, complaints)
    _complain_of_listening(server, complaints)
    complaints.raise_if_any()
    return supervisor.Settings(
        name=server["name"],
        ip=server["ip"],
        port=_port(server),
        processes=server["processes"],
        run_dir=os.path.abspath(run_dir),
        drain_timeout=server["drain_timeout"],
        worker=inner,
        boot_timeout=server["boot_timeout"],
        max_requests=server["max_requests"],
        max_requests_jitter=server["max_requests_jitter"],
        max_rss=server["max_rss"],
        max_age=server["max_age"],
        preload=server["preload"],
        identity=identity,
        umask=server["umask"],
        unix_mode=server["unix_mode"],
        redirect_port=server["redirect_port"],
    )


def load_fleet(path: str | Path, env: Mapping[str, str] = os.environ) -> FleetSettings:
    """The settings of the fleet, from a skitaid.conf; all defaults if there is none.

    Without `home`, the home of ANY/etc/skitaid/skitaid.conf is ANY, and of a file
    elsewhere its own directory. A relative `var_path` starts at the home.
    Raises `ConfError`.
    """
    path = Path(os.path.abspath(path))
    complaints = Complaints(path.name)
    sections = _read(path, env, complaints) if path.exists() else {}
    for title, section in sections.items():
        if title != "global":
            complaints.add(section.line, f"[{title}]: unknown section; there is only [global]")
    values = fill(sections.get("global"), GLOBAL, complaints)
    is_in_etc = path.parent.parts[-2:] == ("etc", "skitaid")
    default_home = path.parents[2] if is_in_etc else path.parent
    home = Path(os.path.abspath(default_home / values["home"]))
    if "home" in values.lines and not home.is_dir():
        complaints.add(values.line_of("home"), f"home: there is no directory {home}")
    python = values["python"]
    if "/" in python:  # a path, which starts where all others do
        python = os.path.abspath(home / python)
    if shutil.which(python) is None:
        message = f"python: there is no program {python}"
        complaints.add(values.line_of("python"), message)
    complaints.raise_if_any()
    var_path = Path(os.path.abspath(home / values["var_path"]))
    return FleetSettings(home, var_path, python)


def _read(path: Path, env: Mapping[str, str], complaints: Complaints) -> dict[str, Section]:
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfError([Complaint(str(path), message)]) from None
    sections = read_sections(data, env, complaints)
    if not sections:  # then the rest could only repeat that this or that is missing
        complaints.raise_if_any()
    return {section.title: section for section in sections}


def _complain_of_unknown(sections: Mapping[str, Section], complaints: Complaints) -> None:
    for title, section in sections.items():
        if title.startswith("@") and not _CLUSTER.fullmatch(title):
            message = f"[{title}]: the name of a cluster is letters, digits, _ . and -"
            complaints.add(section.line, message)
        elif not title.startswith("@") and title not in _SECTIONS:
            known = [f"[{name}]" for name in _SECTIONS]
            hint = did_you_mean(f"[{title}]", known) or f"; there are {', '.join(known)}, [@name]"
            complaints.add(section.line, f"[{title}]: unknown section{hint}")


def _base_name(path: Path, complaints: Complaints) -> str:
    try:
        return conf_values.server_name(path.stem)
    except ValueError as error:
        complaints.add(0, f"rename the file, for it names the server: {error}")
        return "unnamed"


@cache
def _random_key(path: Path) -> str:
    """Cached, so that sessions survive a reload: it is one key per start of a server."""
    return secrets.token_urlsafe(32)


def _complain_of_sample_secrets(server: Values, complaints: Complaints) -> None:
    if conf_values.is_loopback(server["ip"]):
        return
    given = {"securekey": server["securekey"], "admin_password": (server["admin_password"],)}
    for key, secrets_given in given.items():
        if SAMPLE_SECRETS[key] in secrets_given:
            message = (
                f"{key}: this is the example of the documentation, which everybody knows,"
                " and the server can be reached from other machines; write a random one, as"
                ' from python3 -c "import secrets; print(secrets.token_urlsafe())",'
                " or let it listen on ip = 127.0.0.1"
            )
            complaints.add(server.line_of(key), message)


def _forwarding(server: Values, complaints: Complaints) -> worker.Forwarding | None:
    keys = ("proxy_allow", "proxy_connect_ports", "proxy_to", "proxy_auth")
    if server["proxy"]:
        return worker.Forwarding(*(server[key] for key in keys))
    for key in keys:
        if key == "proxy_auth" and server[key]:  # who writes it believes that it keeps somebody out
            complaints.add(server.line_of(key), f"{key}: it has no effect without proxy = yes")
    return None


def _port(server: Values) -> int:
    """A file has none."""
    return 0 if server["ip"].startswith("unix:") else int(server["port"])


def _complain_of_listening(server: Values, complaints: Complaints) -> None:
    """Settings that would be passed over."""
    is_file = server["ip"].startswith("unix:")
    for key in ("port", "redirect_port") if is_file else ("unix_mode",):
        if key in server.lines and server[key]:
            message = (
                f"{key}: it has no effect with" + (" " if is_file else "out ") + "ip = unix:PATH"
            )
            complaints.add(server.line_of(key), message)
    if server["proxy_protocol"] and not server["trusted_proxies"]:
        message = "proxy_protocol: it is spoken with trusted_proxies, and there are none"
        complaints.add(server.line_of("proxy_protocol"), message)


def _home(path: Path, env: Mapping[str, str]) -> Path:
    """Where relative targets start.

    For a conf in servers-enabled or servers-available it is the home that the skitaid.conf
    beside them has, for any other conf it is the conf's own directory.
    """
    if path.parent.name not in _SERVERS:
        return path.parent
    return load_fleet(path.parent.parent / "skitaid.conf", env).home


def _worker(
    sections: Mapping[str, Section],
    server: Values,
    path: Path,
    home: Path,
    run_dir: str | Path,
    complaints: Complaints,
) -> worker.Settings:
    named = [section for title, section in sections.items() if title.startswith("@")]
    clusters = conf_clusters.read(named, _certificates(path), server["processes"], complaints)
    http = {name: one for name, one in clusters.items() if isinstance(one, worker.HttpCluster)}
    databases = {
        name: one for name, one in clusters.items() if isinstance(one, worker.DatabaseCluster)
    }
    return worker.Settings(
        name=server["name"],
        ip=server["ip"],
        port=_port(server),
        routes=_routes(sections.get("routes:line"), home, clusters, complaints),
        http_clusters=http,
        database_clusters=databases,
        threads=server["threads"],
        threads_max=_threads_max(server, complaints),
        limits=worker.Limits(**{field: server[key] for field, key in LIMIT_FIELDS.items()}),
        upload_dir=_upload_dir(server, home, complaints),
        trusted_proxies=server["trusted_proxies"],
        proxy_protocol=server["proxy_protocol"],
        static_max_age=server["static_max_age"],
        result_cache=server["result_cache"],
        result_cache_entries=server["num_result_cache_max"],
        result_cache_size=server["max_result_cache_size"],
        session_timeout=server["sessiontimeout"],
        secure_keys=server["securekey"],
        admin=worker.Admin(
            password=server["admin_password"],
            path=server["admin_path"],
            allow=server["admin_allow"],
            insecure=server["admin_insecure"],
        ),
        conf=str(path.absolute()),
        forwarding=_forwarding(server, complaints),
        tls=_tls(sections.get("certification"), server, path, complaints),
        request_timeout=server["request_timeout"],
        slow_request=server["slow_request"],
        otel=_otel(server, complaints),
        logs=_logs(server, run_dir),
        drain_timeout=server["drain_timeout"],
        worker_timeout=server["worker_timeout"],
    )


def _logs(server: Values, run_dir: str | Path) -> worker.Logs:
    return worker.Logs(
        directory=os.path.join(os.path.abspath(run_dir), "logs"),
        access=server["access_log"],
        style=server["log_format"],
        rotate=server["log_rotate"],
        max_size=server["log_max_size"],
        keep=server["log_keep"],
    )


def _routes(
    section: Section | None,
    home: Path,
    clusters: Mapping[str, conf_clusters.Cluster],
    complaints: Complaints,
) -> tuple[worker.Route, ...]:
    if section is None or not section.entries:
        line = section.line if section else 0
        message = "[routes:line] has no route; write at least one, such as / = app/webapp"
        complaints.add(line, message)
        return ()
    return conf_routes.read(section, home, clusters, complaints)


def _threads_max(server: Values, complaints: Complaints) -> int:
    threads: int = server["threads"]
    threads_max: int = server["threads_max"]
    if "threads_max" in server.lines and threads_max < threads:
        message = f"threads_max: {threads_max} is less than threads, which is {threads}"
        complaints.add(server.line_of("threads_max"), message)
    return max(threads, threads_max)


def _otel(server: Values, complaints: Complaints) -> bool:
    if server["otel"] and find_spec("opentelemetry") is None:
        message = "otel: OpenTelemetry is not installed; pip install 'skitai[otel]'"
        complaints.add(server.line_of("otel"), message)
    return bool(server["otel"])


def _upload_dir(server: Values, home: Path, complaints: Complaints) -> str:
    path: str = os.path.abspath(home / server["upload_dir"])
    if "upload_dir" in server.lines and not os.path.isdir(path):
        complaints.add(server.line_of("upload_dir"), f"upload_dir: there is no directory {path}")
    return path


def _tls(
    section: Section | None, server: Values, path: Path, complaints: Complaints
) -> worker.Tls | None:
    """The certificates; None without `ssl = yes`, whatever `[certification]` says."""
    values = fill(section, CERTIFICATION, complaints)
    if not server["ssl"]:
        for key in ("redirect_port", "hsts"):
            if server[key]:
                complaints.add(server.line_of(key), f"{key}: it has no effect without ssl = yes")
        return None
    if server["redirect_port"] == server["port"]:
        message = "redirect_port: that is port already, where https is spoken"
        complaints.add(server.line_of("redirect_port"), message)
    if not values["certfile"]:
        message = "ssl: it wants a certfile in [certification]"
        complaints.add(server.line_of("ssl"), message)
        return None
    return certs.read(values, _certificates(path), server["hsts"], complaints)


def _certificates(path: Path) -> Path:
    """Where relative names of certificates are looked up."""
    return path.parent.parent / "cert"
