"""The keys of a conf, one table for each kind of section.

The tables are all there is to know about a key: its name, how its value is read, its default
as one would write it, and its meaning. The reference and the sample are tested against
them. Defaults that a worker has itself are taken from it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from skitaid import conf_values as values
from skitaid.conf_lines import Entry, Section
from skitaid.errors import Complaints, did_you_mean
from skitaid.workers import settings as worker


class Key(msgspec.Struct, frozen=True):
    """One key of a section."""

    name: str
    parse: Callable[[str], Any]  # raises ValueError with the end of a sentence
    default: str  # as written in a conf
    meaning: str


class Values(msgspec.Struct, frozen=True):
    """A section's keys, all of them: as written, or else the default."""

    line: int  # of the section; 0 if there is none
    parsed: Mapping[str, Any]
    lines: Mapping[str, int]  # of the keys that are written

    def __getitem__(self, key: str) -> Any:
        return self.parsed[key]

    def line_of(self, key: str) -> int:
        return self.lines.get(key, self.line)


def fill(
    section: Section | None,
    table: tuple[Key, ...],
    complaints: Complaints,
    **defaults: str,
) -> Values:
    """The values of a section; `defaults` go before those of the table.

    A value that cannot be read is complained about and replaced by its default.
    """
    written = _known_entries(section, {key.name for key in table}, complaints)

    def value_of(key: Key) -> Any:
        if key.name in written:
            try:
                return key.parse(written[key.name].value)
            except ValueError as error:
                complaints.add(written[key.name].line, f"{key.name}: {error}")
        return key.parse(defaults.get(key.name, key.default))

    parsed = {key.name: value_of(key) for key in table}
    lines = {name: entry.line for name, entry in written.items()}
    return Values(section.line if section else 0, parsed, lines)


def _known_entries(
    section: Section | None, known: set[str], complaints: Complaints
) -> dict[str, Entry]:
    entries = section.entries if section else []
    for entry in entries:
        if section and entry.key not in known:
            hint = did_you_mean(entry.key, known)
            complaints.add(entry.line, f"{entry.key}: unknown key in [{section.title}]{hint}")
    return {entry.key: entry for entry in entries if entry.key in known}


_WORKER = worker.Settings(name="", routes=())  # for its defaults
_LIMITS = _WORKER.limits
_LOGS = _WORKER.logs
_CLIENT = worker.ClientLimits()
_DATABASE = worker.DatabaseLimits()
_PASSING = worker.Passing()

# The keys that fill `worker.Limits`, by the names of its fields.
LIMIT_FIELDS = {
    "request_line": "max_request_line",
    "header_size": "max_header_size",
    "headers": "max_headers",
    "body_size": "max_body_size",
    "queue": "max_queue",
    "header_timeout": "header_timeout",
    "body_timeout": "body_timeout",
    "body_rate": "min_body_rate",
    "keepalive_timeout": "keepalive_timeout",
    "upload_size": "max_upload_size",
    "upload_file_size": "max_upload_file_size",
    "upload_field_size": "max_upload_field_size",
    "upload_parts": "max_upload_parts",
}

# Least values keep a slip of the pen from making a server that refuses everybody.
SERVER = (
    Key("processes", values.whole(1), "1", "workers; as many as the machine has CPUs"),
    Key("threads", values.whole(1), f"{_WORKER.threads}", "handlers that may run at once"),
    Key("threads_max", values.whole(1), f"{_WORKER.threads_max}", "handlers, waiting ones too"),
    Key("port", values.port, "5000", "where to listen"),
    Key("ip", values.listen_address, "", "where to listen; empty for all interfaces; or unix:PATH"),
    Key("unix_mode", values.mode, "660", "of the file of ip = unix:PATH"),
    Key("ssl", values.switch, "no", "HTTPS, with the certificate of [certification]"),
    Key("redirect_port", values.port_or_none, "0", "plain HTTP there is sent to https; 0: none"),
    Key("hsts", values.hsts, "0", "how long browsers come by https only; 0: nothing is said"),
    Key("name", values.server_name, "", "the server's name; the conf's if left out"),
    Key("sessiontimeout", values.whole_seconds(1), f"{_WORKER.session_timeout}", "then it is over"),
    Key("proxy", values.switch, "no", "also a forward proxy"),
    Key("proxy_allow", values.proxies, "127.0.0.0/8, ::1", "who may use it"),
    Key("proxy_connect_ports", values.ports, "443", "ports that CONNECT may name"),
    Key("proxy_to", values.networks, "", "networks it reaches though they are not public"),
    Key("proxy_auth", values.credentials, "", "user:password, one of which it wants"),
    Key("trusted_proxies", values.proxies, "", "whose X-Forwarded-For and the like are believed"),
    Key("proxy_protocol", values.switch, "no", "trusted_proxies begin with a PROXY header"),
    Key("static_max_age", values.whole_seconds(0), f"{_WORKER.static_max_age}", "of static files"),
    Key(
        "num_result_cache_max",
        values.whole(0),
        f"{_WORKER.result_cache_entries}",
        "results of calls in the cache of one worker",
    ),
    Key("result_cache", values.cache_url, "", "where to keep them instead, for all machines"),
    Key(
        "max_result_cache_size",
        values.size(1),
        f"{_WORKER.result_cache_size}",
        "of all these results together",
    ),
    Key("securekey", values.secure_keys, "", "seals sessions; random at every start if left out"),
    Key("admin_password", values.password, "", "of user admin; no admin pages if left out"),
    Key("admin_path", values.admin_path, _WORKER.admin.path, "what the admin pages are below"),
    Key("admin_allow", values.proxies, "", "who may see them; empty for everybody"),
    Key("admin_insecure", values.switch, "no", "also over plain HTTP from other machines"),
    Key("max_request_line", values.size(64), f"{_LIMITS.request_line}", "beyond it 414"),
    Key("max_header_size", values.size(256), f"{_LIMITS.header_size}", "all lines; beyond it 431"),
    Key("max_headers", values.whole(1), f"{_LIMITS.headers}", "header lines; beyond it 431"),
    Key("max_body_size", values.size(1), f"{_LIMITS.body_size}", "beyond it 413"),
    Key("max_upload_size", values.size(1), f"{_LIMITS.upload_size}", "a form with files; then 413"),
    Key("max_upload_file_size", values.size(1), f"{_LIMITS.upload_file_size}", "each; then 413"),
    Key("max_upload_field_size", values.size(1), f"{_LIMITS.upload_field_size}", "each; then 413"),
    Key("max_upload_parts", values.whole(1), f"{_LIMITS.upload_parts}", "of a form; then 413"),
    Key("upload_dir", values.text, _WORKER.upload_dir, "where files of forms are until answered"),
    Key("max_queue", values.whole(1), f"{_LIMITS.queue}", "waiting requests; beyond it 503"),
    Key("header_timeout", values.seconds(0.01), f"{_LIMITS.header_timeout:g}", "then 408"),
    Key("body_timeout", values.seconds(0.01), f"{_LIMITS.body_timeout:g}", "a pause; then 408"),
    Key("min_body_rate", values.size(1), f"{_LIMITS.body_rate}", "bytes a second; slower: 408"),
    Key("keepalive_timeout", values.seconds(0.01), f"{_LIMITS.keepalive_timeout:g}", "idle time"),
    Key("request_timeout", values.seconds(0), f"{_WORKER.request_timeout:g}", "then 503; 0: never"),
    Key("slow_request", values.seconds(0), f"{_WORKER.slow_request:g}", "is logged; 0: none is"),
    Key("otel", values.switch, "no", "traces are exported by OpenTelemetry"),
    Key("drain_timeout", values.seconds(0), f"{_WORKER.drain_timeout:g}", "for a leaving worker"),
    Key("worker_timeout", values.seconds(0), f"{_WORKER.worker_timeout:g}", "then it is replaced"),
    Key("boot_timeout", values.seconds(0), "60", "from a worker's fork to its being ready"),
    Key("max_requests", values.whole(0), "0", "of a worker, which is replaced then; 0 is never"),
    Key("max_requests_jitter", values.whole(0), "0", "up to so many more, by chance"),
    Key("max_rss", values.size(0), "0", "of a worker, which is replaced then; 0 is never"),
    Key("max_age", values.seconds(0), "0", "of a worker, which is replaced then; 0 is never"),
    Key("preload", values.switch, "no", "apps are imported before the fork; reload is restart"),
    Key("user", values.user, "", "whom workers run as, if the master is root"),
    Key("group", values.group, "", "of workers; the user's own if left out"),
    Key("umask", values.umask, "022", "of workers, in octal digits"),
    Key("access_log", values.switch, "yes", "a line in request.log for each request"),
    Key("log_format", values.one_of(text="text", json="json"), f"{_LOGS.style}", "of all logs"),
    Key(
        "log_rotate",
        values.one_of(daily="daily", size="size", no="no"),
        f"{_LOGS.rotate}",
        "when a log file makes room for a new one",
    ),
    Key("log_max_size", values.size(1024), f"{_LOGS.max_size}", "of a log, for log_rotate = size"),
    Key("log_keep", values.whole(0), f"{_LOGS.keep}", "rotated files of each log"),
)

CERTIFICATION = (
    Key("certfile", values.files, "", "PEM files, each with a certificate and its private key"),
    Key("keyfile", values.files, "", "PEM files with the keys, if they are not in certfile"),
    Key("cafile", values.text, "", "PEM file with the authorities between them and the root"),
    Key("passphrase", values.text, "", "opens the private keys"),
    Key("client_ca", values.text, "", "PEM file with authorities; clients must show a certificate"),
    Key(
        "client_cert",
        values.one_of(required="required", optional="optional"),
        "required",
        "or a client may show none",
    ),
)

CLUSTER = (
    Key(
        "type",  # the original's documentation spells the second one in two more ways
        values.one_of(
            http="http",
            postgresql="postgresql",
            postresql="postgresql",
            posgresql="postgresql",
        ),
        "http",
        "http (also for XML-RPC and JSON-RPC) or postgresql",
    ),
    Key("ssl", values.tls, "no", "TLS to the members; databases also: verify-full"),
    Key("members", values.text, "", "the servers; required"),
    Key(
        "balance",
        values.one_of(p2c="p2c", roundrobin="roundrobin", leastconn="leastconn", hash="hash"),
        "p2c",
        "the better of two at random, in turn, the least busy, or by key",
    ),
    Key("hedge", values.hedge, "no", "when idempotent calls go to a second member too"),
    Key(
        "max_connections",
        values.whole(1),
        f"{worker.CONNECTIONS_MAX}",
        "to each member from one worker; of databases 32, to each server from all workers",
    ),
    Key("min_connections", values.whole(0), "0", "databases: kept open by one worker"),
    Key(
        "dns_every",
        values.seconds(1),
        f"{worker.DNS_EVERY:g}",
        "names of members like dns:name:port are looked up again",
    ),
    Key("check", values.check, "no", "how members are checked, like /path every 5s"),
    Key(
        "connect_timeout",
        values.seconds(0.01),
        f"{_CLIENT.connect_timeout:g}",
        "for name, TCP and TLS together",
    ),
    Key(
        "read_timeout",
        values.seconds(0),
        f"{_CLIENT.read_timeout:g}",
        "silence of a member; 0: only the call's own time counts",
    ),
    Key(
        "max_response_size",
        values.size(1),
        f"{_CLIENT.response_size}",
        "of an answer; more is a failure",
    ),
    Key(
        "wait_timeout",
        values.seconds(0),
        f"{_DATABASE.wait_timeout:g}",
        "databases: in the line for a connection; 0 is as long as the call has",
    ),
    Key(
        "idle_timeout",
        values.seconds(0),
        f"{_DATABASE.idle_timeout:g}",
        "databases: then a connection is closed; 0 is never",
    ),
    Key(
        "max_lifetime",
        values.seconds(0),
        f"{_DATABASE.max_lifetime:g}",
        "databases: of a connection; 0 is for ever",
    ),
    Key(
        "pooler",
        values.one_of(no="no", transaction="transaction"),
        "no",
        "databases: transaction if pgbouncer or the like is in between",
    ),
    Key("passfile", values.text, "", "databases: file with passwords, like ~/.pgpass"),
    Key("keep_prefix", values.switch, "no", "of the route: members see the whole path"),
    Key("keep_host", values.switch, "no", "members are called as the client has called us"),
    Key("sticky", values.cookie_name, "no", "a cookie brings clients to the same member"),
    Key(
        "proxy_timeout",
        values.seconds(0),
        f"{_PASSING.timeout:g}",
        "silence of a member that a client waits for, then 504; 0: never",
    ),
    Key(
        "tunnel_timeout",
        values.seconds(0),
        f"{_PASSING.tunnel_timeout:g}",
        "in which nothing moves in a WebSocket or the like; 0: never",
    ),
    Key(
        "max_request_size",
        values.size(1),
        f"{_PASSING.max_request_size}",
        "of a body that is passed on; beyond it 413",
    ),
    Key("cache", values.size_or_no, "no", "answers that one worker keeps, as far as they allow"),
    Key("cafile", values.text, "", "authorities to believe; those of the system if left out"),
    Key("certfile", values.text, "", "PEM file that is shown to members that ask who we are"),
    Key("passphrase", values.text, "", "opens the private key in certfile"),
    Key("verify", values.switch, "yes", "no: certificates of members are not looked at"),
)

GLOBAL = (
    Key("home", values.text, "", "relative paths in confs start here; what holds etc/skitaid"),
    Key("var_path", values.text, "/var/local/skitaid", "pid files, control sockets and logs"),
    Key("python", values.text, sys.executable, "the Python that runs the servers"),
)
