"""Confs: what makes settings, and what is complained about."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from certificates import certificate_and_key
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import fields

from skitaid import conf_keys
from skitaid.conf import SAMPLE_SECRETS, FleetSettings, load_fleet, load_server
from skitaid.conf_keys import CERTIFICATION, CLUSTER, GLOBAL, SERVER, Key
from skitaid.errors import ConfError
from skitaid.supervisor.settings import Settings
from skitaid.workers import settings as worker

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "etc/skitaid/servers-available/sample.conf"
REFERENCE = ROOT / "docs/reference/conf.md"
ROUTES = "[routes:line]\n/ = app/webapp\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an app, a static directory, and nothing enabled."""
    (tmp_path / "etc/skitaid/servers-enabled").mkdir(parents=True)
    (tmp_path / "etc/skitaid/cert").mkdir()
    (tmp_path / "app/static").mkdir(parents=True)
    (tmp_path / "app/webapp.py").touch()
    return tmp_path


def load(home: Path, text: str, env: Mapping[str, str] | None = None) -> Settings:
    path = home / "etc/skitaid/servers-enabled/web.conf"
    path.write_text(text)
    return load_server(path, home / "var/servers/web", env or {})


def refusal(home: Path, text: str) -> list[str]:
    """What is complained about; a good conf fails the test."""
    with pytest.raises(ConfError) as raised:
        load(home, text)
    assert raised.value.exit_code == 2
    return [str(complaint) for complaint in raised.value.complaints]


def refused_key(home: Path, line: str) -> str:
    """The one complaint about one line in [server]."""
    (complaint,) = refusal(home, f"{ROUTES}[server]\n{line}\n")
    return complaint


# [server]


def test_unknown_key_names_the_nearest(home: Path) -> None:
    """A slip of the pen is not passed over, and the right key is named."""
    assert refused_key(home, "thread = 4") == (
        "web.conf:4: thread: unknown key in [server]; did you mean threads?"
    )


def test_unknown_key_that_is_like_no_other(home: Path) -> None:
    """Without a near name there is no guess."""
    assert refused_key(home, "xyzzy = 4") == "web.conf:4: xyzzy: unknown key in [server]"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("processes = 0", "0 is too small; the least is 1"),
        ("processes = two", "two is not a whole number"),
        ("processes = -1", "-1 is not a whole number"),
        ("processes =", "an empty value is not a whole number"),
        ("threads = 1.5", "1.5 is not a whole number"),
        ("threads = ٣", "٣ is not a whole number"),
        ("threads_max = 3", "3 is less than threads, which is 4"),
        ("port = 0", "0 is not a port; ports are 1 to 65535"),
        ("port = 65536", "65536 is not a port; ports are 1 to 65535"),
        ("ip = 256.0.0.1", "256.0.0.1 is not an IP address"),
        ("ip = ::g", "::g is not an IP address"),
        ("ip = my host", "my host is neither an IP address nor a host name"),
        ("ssl = perhaps", "perhaps is neither yes nor no"),
        ("name = a b", "a b is not a server name"),
        ("sessiontimeout = 1.5", "1.5 is not a whole number of seconds"),
        ("sessiontimeout = 0", "0 is too small; the least is 1"),
        ("sessiontimeout = -1", "-1 is not a time"),
        ("header_timeout = 0", "0 is too small; the least is 0.01"),
        ("header_timeout = nan", "nan is not a time"),
        ("body_timeout = 1d", "1d is not a time; write seconds, or like 30s, 5m, 1h"),
        ("max_body_size = 5mb", "5mb is not a size; write bytes, or like 64k, 5m, 1g"),
        ("max_body_size = 0", "0 is too small; the least is 1"),
        ("trusted_proxies = proxy.example.com", "proxy.example.com is neither an IP address"),
        ("trusted_proxies = 10.0.0.1/8", "within a network; did you mean 10.0.0.0/8?"),
        ("trusted_proxies = unix", "unix is neither an IP address"),
        ("max_request_line = 10", "10 is too small; the least is 64"),
        ("securekey = abc", "a key needs at least 6 characters"),
        ("securekey = long-enough short", "a key needs at least 6 characters"),
        ("securekey =", "without this line a random key is made at every start"),
        ("result_cache = example.com:6379", "it is not of the form valkey://host:port/number"),
        ("admin_password = abc", "it needs at least 6 characters"),
        ("admin_path = skitai", "skitai is no path like /skitai"),
        ("admin_path = /", "/ is no path like /skitai"),
        ("admin_path = /../x", "/../x is no path like /skitai"),
        ("admin_allow = office", "office is neither an IP address"),
    ],
)
def test_wrong_value(home: Path, line: str, reason: str) -> None:
    """A value that cannot be meant is refused with its line, its key and the reason."""
    complaint = refused_key(home, line)
    assert complaint.startswith(f"web.conf:4: {line.split()[0]}: ")
    assert reason in complaint


@pytest.mark.parametrize("line", ["securekey = hunt2", "admin_password = hunt2"])
def test_wrong_secret_is_not_shown(home: Path, line: str) -> None:
    """A complaint about a secret does not tell it."""
    assert "hunt2" not in refused_key(home, line)


def test_long_value_is_cut(home: Path) -> None:
    """A complaint stays readable whatever was pasted."""
    assert len(refused_key(home, "port = " + "9" * 10_000)) < 200


@pytest.mark.parametrize("ip", ["", "0.0.0.0", "::", "192.168.1.100", "www.jeans.com"])
@pytest.mark.parametrize("key", sorted(SAMPLE_SECRETS))
def test_sample_secret_beyond_loopback(home: Path, key: str, ip: str) -> None:
    """The secrets of the documentation are refused for a server that others can reach."""
    text = f"{ROUTES}[server]\nip = {ip}\n{key} = {SAMPLE_SECRETS[key]}\n"
    (complaint,) = refusal(home, text)
    assert complaint.startswith(f"web.conf:5: {key}: this is the example of the documentation")
    assert "secrets.token_urlsafe" in complaint
    assert SAMPLE_SECRETS[key] not in complaint


def test_sample_secret_as_an_old_key(home: Path) -> None:
    """It is refused among other keys too: a key that opens is enough to forge a session."""
    keys = f"a-good-new-key {SAMPLE_SECRETS['securekey']}"
    assert "example of the documentation" in refused_key(home, f"securekey = {keys}")


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_sample_secrets_on_loopback(home: Path, ip: str) -> None:
    """For trying things out on this machine they are good enough."""
    lines = "".join(f"{key} = {value}\n" for key, value in SAMPLE_SECRETS.items())
    settings = load(home, f"{ROUTES}[server]\nip = {ip}\n{lines}")
    assert settings.worker.secure_keys == ("ASDF34x5=DFu$3FD45i&*YTnU+78",)
    assert settings.worker.admin.password == "admin-password"


def test_conf_as_short_as_the_first_example(home: Path) -> None:
    """All else has a safe default: a random key, no admin, the documented numbers."""
    text = "[server]\nprocesses = 1\nthreads = 4\nport = 5000\nssl = no\n" + ROUTES
    settings = load(home, text)
    inner = settings.worker
    assert (settings.name, settings.ip, settings.port, settings.processes) == ("web", "", 5000, 1)
    assert settings.run_dir == str(home / "var/servers/web")
    assert (inner.session_timeout, inner.static_max_age, inner.result_cache_entries) == (
        1200,
        300,
        200,
    )
    assert len(inner.secure_keys) == 1 and len(inner.secure_keys[0]) >= 32
    assert (inner.admin.password, inner.forwarding, inner.tls) == ("", None, None)
    assert inner.limits == worker.Limits()


def test_conf_without_a_server_section(home: Path) -> None:
    """Routes alone are a server."""
    assert load(home, ROUTES).port == 5000


def test_random_key_is_one_per_start(home: Path) -> None:
    """A reload keeps it, so sessions survive; another server has another."""
    first, again = load(home, ROUTES), load(home, ROUTES)
    assert first.worker.secure_keys == again.worker.secure_keys
    other = home / "etc/skitaid/servers-enabled/other.conf"
    other.write_text(ROUTES)
    assert load_server(other, "var").worker.secure_keys != first.worker.secure_keys


def test_every_key_reaches_its_setting(home: Path) -> None:
    """What is written is what the floors below are given, in seconds and bytes."""
    text = """
    [server]
    processes = 2
    threads = 3
    threads_max = 30
    port = 80
    ip = ::1
    name = shop
    sessiontimeout = 1h
    proxy = on
    trusted_proxies = 127.0.0.1, 10.0.0.0/8 ::1, unix:
    static_max_age = 5m
    num_result_cache_max = 2000
    max_result_cache_size = 1m
    result_cache = valkey://cache.example.com:6379/1
    securekey = new-key-1   old-key-2
    admin_password = open sesame
    admin_path = /back/door
    admin_allow = 10.0.0.0/8 unix:
    admin_insecure = yes
    max_request_line = 4k
    max_header_size = 32K
    max_headers = 50
    max_body_size = 1g
    max_upload_size = 1m
    max_upload_file_size = 2m
    max_upload_field_size = 3k
    max_upload_parts = 9
    upload_dir = app
    max_queue = 10
    header_timeout = 0.5
    body_timeout = 1.5m
    min_body_rate = 1k
    keepalive_timeout = 10s
    request_timeout = 20
    slow_request = 500
    otel = yes
    drain_timeout = 0
    access_log = no
    log_format = json
    log_rotate = size
    log_max_size = 1m
    log_keep = 7
    [routes:line]
    / = app/webapp
    """
    settings = load(home, text)
    assert (settings.name, settings.worker.name, settings.ip) == ("shop", "shop", "::1")
    assert (settings.port, settings.processes, settings.drain_timeout) == (80, 2, 0.0)
    assert settings.worker == worker.Settings(
        name="shop",
        routes=(worker.AppRoute("/", str(home / "app/webapp.py"), "web.conf:45"),),
        ip="::1",
        port=80,
        threads=3,
        threads_max=30,
        limits=worker.Limits(
            *(4096, 32768, 50, 1024**3, 0.5, 90.0, 1024, 10.0, 10), 1024**2, 2 * 1024**2, 3072, 9
        ),
        upload_dir=str(home / "app"),
        trusted_proxies=("127.0.0.1/32", "10.0.0.0/8", "::1/128", "unix:"),
        static_max_age=300,
        result_cache="valkey://cache.example.com:6379/1",
        result_cache_entries=2000,
        result_cache_size=1024**2,
        session_timeout=3600,
        secure_keys=("new-key-1", "old-key-2"),
        admin=worker.Admin("open sesame", "/back/door", ("10.0.0.0/8", "unix:"), True),
        conf=str(home / "etc/skitaid/servers-enabled/web.conf"),
        forwarding=worker.Forwarding(),
        request_timeout=20.0,
        slow_request=500.0,
        otel=True,
        logs=worker.Logs(str(home / "var/servers/web/logs"), False, "json", "size", 1024**2, 7),
        drain_timeout=0.0,
    )


@pytest.mark.parametrize("word", ["yes", "YES", "true", "on", "1"])
def test_ways_to_say_yes(home: Path, word: str) -> None:
    """Switches may be written in several ways."""
    assert load(home, f"{ROUTES}[server]\nproxy = {word}\n").worker.forwarding


def test_threads_above_the_default_of_threads_max(home: Path) -> None:
    """Who raises threads alone need not raise threads_max."""
    assert load(home, f"{ROUTES}[server]\nthreads = 300\n").worker.threads_max == 300


def test_variables_of_the_environment(home: Path) -> None:
    """Secrets may stay out of the file."""
    text = f"{ROUTES}[server]\nsecurekey = ${{KEY}}\n"
    assert load(home, text, {"KEY": "from-outside"}).worker.secure_keys == ("from-outside",)


def test_upload_dir_starts_at_the_home_and_must_exist(home: Path) -> None:
    """Uploads would fail much later."""
    load_with = f"{ROUTES}[server]\nupload_dir = app\n"
    assert load(home, load_with).worker.upload_dir == str(home / "app")
    complaint = refused_key(home, "upload_dir = none")
    assert complaint == f"web.conf:4: upload_dir: there is no directory {home}/none"


# the file and its sections


def test_missing_file(tmp_path: Path) -> None:
    """A conf that cannot be read is a complaint with the whole path."""
    with pytest.raises(ConfError, match=r"no\.conf: cannot be read: No such file or directory"):
        load_server(tmp_path / "no.conf", tmp_path)


def test_undecodable_file_is_the_only_complaint(tmp_path: Path) -> None:
    """What could not be read is not also said to be missing."""
    (tmp_path / "web.conf").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfError) as raised:
        load_server(tmp_path / "web.conf", tmp_path)
    assert len(raised.value.complaints) == 1


def test_file_name_that_cannot_name_a_server(home: Path) -> None:
    """The file's name becomes a directory and a title, so it is checked like a name."""
    path = home / "my web.conf"
    path.write_text(ROUTES)
    with pytest.raises(ConfError, match=r"^my web\.conf: rename the file, for it names the server"):
        load_server(path, home)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("[routes]", "[routes]: unknown section; did you mean [routes:line]?"),
        ("[servers]", "[servers]: unknown section; did you mean [server]?"),
        (
            "[xyzzy]",
            "[xyzzy]: unknown section; there are [server], [certification], [routes:line], [@name]",
        ),
        ("[@my search]", "[@my search]: the name of a cluster is letters, digits, _ . and -"),
    ],
)
def test_unknown_section(home: Path, header: str, complaint: str) -> None:
    """A section nobody reads is a mistake."""
    members = "\nmembers = a" if "@" in header else ""
    assert refusal(home, f"{ROUTES}{header}{members}\n") == [f"web.conf:3: {complaint}"]


def test_all_mistakes_at_once(home: Path) -> None:
    """Mistakes of every kind are told together, in the order of their lines."""
    text = "[server]\nport = x\nthread = 1\nssl = yes\n[routes:line]\n/ = nowhere\nx\n[@a]\n"
    places = [complaint.split(": ")[:2] for complaint in refusal(home, text)]
    assert places == [
        ["web.conf:2", "port"],
        ["web.conf:3", "thread"],
        ["web.conf:4", "ssl"],
        ["web.conf:6", "/"],
        ["web.conf:7", "this line has no =; write prefix = target"],
        ["web.conf:8", "members"],
    ]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([key.name for table in (SERVER, CLUSTER) for key in table]),
            st.text(st.characters(codec="utf-8"), max_size=12),
        ),
        max_size=6,
    )
)
def test_any_values_make_settings_or_complaints(home: Path, entries: list[tuple[str, str]]) -> None:
    """Whatever stands behind the keys, nothing but ConfError is raised."""
    lines = "".join(f"{key} = {value}\n" for key, value in entries)
    path = home / "etc/skitaid/servers-enabled/web.conf"
    path.write_bytes(f"[server]\n{lines}[@x]\n{lines}{ROUTES}".encode())
    try:
        load_server(path, home, {})
    except ConfError as error:
        assert error.complaints


# [routes:line]


def refused_route(home: Path, lines: str) -> str:
    (complaint,) = refusal(home, f"[routes:line]\n{lines}\n")
    return complaint


def test_no_routes(home: Path) -> None:
    """A server that would answer nothing is refused."""
    reason = "[routes:line] has no route; write at least one, such as / = app/webapp"
    assert refusal(home, "[server]\n") == [f"web.conf: {reason}"]
    assert refusal(home, "[server]\n[routes:line]\n") == [f"web.conf:2: {reason}"]


def test_missing_module_names_what_was_looked_for(home: Path) -> None:
    """The complaint has the whole path, the file that is missing, and the nearest there is."""
    app = home / "app"
    assert refused_route(home, "/ = app/webap") == (
        f"web.conf:2: /: {app}/webap is neither a directory nor a module:"
        f" {app}/webap.py does not exist; did you mean webapp?"
    )


def test_misspelt_directory_names_the_nearest(home: Path) -> None:
    """A directory is proposed as well as a module."""
    assert refused_route(home, "/ = app/statik").endswith("; did you mean static?")


def test_missing_directory_of_a_module(home: Path) -> None:
    """If already the directory is wrong, that is what is said."""
    complaint = refused_route(home, "/ = nowhere/webapp")
    assert complaint.endswith(f": the directory {home}/nowhere does not exist")


def test_file_that_is_no_module(home: Path) -> None:
    """A file is served by its directory, not by itself."""
    (home / "app/index.html").touch()
    assert "is a file, but neither" in refused_route(home, "/ = app/index.html")


@pytest.mark.parametrize("prefix", ["test", "/a b", "/a?b", "/a#b", "//", "/a//b", "", "*"])
def test_wrong_prefix(home: Path, prefix: str) -> None:
    """A prefix is a path that a request can have."""
    assert "a prefix is / or like /a/b" in refused_route(home, f"{prefix} = app/webapp")


def test_route_without_target(home: Path) -> None:
    """An empty target is not taken for the home directory."""
    assert "there is no target" in refused_route(home, "/ =")


def test_route_to_a_missing_cluster(home: Path) -> None:
    """The nearest cluster is named."""
    text = "[routes:line]\n/x = @webservers\n[@webserver]\nmembers = a\n"
    assert refusal(home, text) == [
        "web.conf:2: /x: there is no section [@webservers]; did you mean @webserver?"
    ]


def test_route_to_a_database(home: Path) -> None:
    """Databases do not answer requests."""
    text = "[routes:line]\n/x = @db\n[@db]\ntype = postgresql\nmembers = h/db/user/pw\n"
    assert refusal(home, text) == [
        "web.conf:2: /x: @db is a postgresql cluster; only an http cluster can answer"
    ]


def test_route_to_a_wrong_cluster_is_not_complained_about(home: Path) -> None:
    """One mistake is told once."""
    text = "[routes:line]\n/x = @web\n[@web]\nmembers = a:b\n"
    assert [complaint.split(": ")[0] for complaint in refusal(home, text)] == ["web.conf:4"]


@pytest.mark.parametrize("again", ["/x", "/x/"])
def test_same_target_twice_on_one_prefix(home: Path, again: str) -> None:
    """The second could never answer; both lines are named."""
    complaint = refused_route(home, f"/x = app/webapp\n/ = app/static\n{again} = app/webapp.py")
    assert complaint == f"web.conf:4: {again}: line 2 says the same; remove one"


@pytest.mark.parametrize("target", ["@b", "app/webapp"])
def test_target_behind_a_cluster(home: Path, target: str) -> None:
    """The cluster answers all, so it is never asked; a directory is, as files come first."""
    routes = f"/x = @a\n/x = app/static\n/x = {target}\n"
    text = f"[@a]\nmembers = a\n[@b]\nmembers = b\n[routes:line]\n{routes}"
    assert refusal(home, text) == [
        "web.conf:8: /x: the cluster in line 6 answers all below it; write this one first"
    ]


def test_routes_keep_their_order_and_places(home: Path) -> None:
    """Directories and an app on one prefix are the usual case; several directories are tried."""
    (home / "app/more").mkdir()
    text = """
[routes:line]
/ = app/static
/ = app/more/
/ = app/webapp
/test/ = app/webapp.py
/far = @far
[@far]
members = a
"""
    app = home / "app"
    assert load(home, text).worker.routes == (
        worker.StaticRoute("/", str(app / "static"), "web.conf:3"),
        worker.StaticRoute("/", str(app / "more"), "web.conf:4"),
        worker.AppRoute("/", str(app / "webapp.py"), "web.conf:5"),
        worker.AppRoute("/test/", str(app / "webapp.py"), "web.conf:6"),
        worker.ClusterRoute("/far", "far", "web.conf:7"),
    )


def test_absolute_target(home: Path) -> None:
    """It is taken as it is."""
    (route,) = load(home, f"[routes:line]\n/ = {home}/app/static\n").worker.routes
    assert route == worker.StaticRoute("/", str(home / "app/static"), "web.conf:2")


def test_home_of_the_fleet_is_where_relative_targets_start(home: Path) -> None:
    """`home` in the skitaid.conf beside the conf moves them."""
    (home / "else/app").mkdir(parents=True)
    (home / "etc/skitaid/skitaid.conf").write_text("[global]\nhome = else\n")
    (route,) = load(home, "[routes:line]\n/ = app\n").worker.routes
    assert isinstance(route, worker.StaticRoute)
    assert route.directory == str(home / "else/app")


def test_conf_elsewhere_starts_at_its_own_directory(home: Path) -> None:
    """A conf beside its app needs no home."""
    path = home / "app/devel.conf"
    path.write_text("[routes:line]\n/ = webapp\n")
    (route,) = load_server(path, home).worker.routes
    assert isinstance(route, worker.AppRoute)
    assert route.file == str(home / "app/webapp.py")


# [@name]


def test_cluster_without_members(home: Path) -> None:
    """It is refused at its header, or at the empty key."""
    text = f"{ROUTES}[@a]\n[@b]\nmembers =\n"
    reason = "members: there are none; write at least one server"
    assert refusal(home, text) == [f"web.conf:3: {reason}", f"web.conf:5: {reason}"]


def test_unknown_type_and_balance(home: Path) -> None:
    """The valid words are listed."""
    text = f"{ROUTES}[@a]\nmembers = a\ntype = mysql\nbalance = random\n"
    assert refusal(home, text) == [
        "web.conf:5: type: mysql is none of http, postgresql",
        "web.conf:6: balance: random is none of p2c, roundrobin, leastconn, hash",
    ]


@pytest.mark.parametrize(
    ("ssl", "mode"), [("no", "prefer"), ("yes", "require"), ("verify-full", "verify-full")]
)
def test_ssl_to_databases(home: Path, ssl: str, mode: str) -> None:
    """yes means that nothing goes without TLS, verify-full that nobody can listen."""
    text = f"{ROUTES}[@a]\ntype = postgresql\nssl = {ssl}\nmembers = h/db/user/pw\n"
    assert load(home, text).worker.database_clusters["a"].access.tls == mode


def test_password_of_a_database_is_in_no_message(home: Path) -> None:
    """Not even if its cluster forgot its type."""
    text = f"{ROUTES}[@a]\nmembers = h:1/db/user/hunter2\n[@b]\nmember = h/db/user/hunter2\n"
    assert "hunter2" not in "".join(refusal(home, text))


@pytest.mark.parametrize("kind", ["postgresql", "postresql", "posgresql", "PostgreSQL"])
def test_database_cluster(home: Path, kind: str) -> None:
    """All documented spellings make a cluster of databases."""
    text = f"{ROUTES}[@mydb]\ntype = {kind}\nmembers = h/db/user/pw, i/db/user/pw 2\n"
    inner = load(home, text).worker
    assert inner.http_clusters == {}
    assert inner.database_clusters["mydb"] == worker.DatabaseCluster(
        name="mydb",
        members=(
            worker.Database("h", 5432, "db", "user", "pw"),
            worker.Database("i", 5432, "db", "user", "pw", 2),
        ),
        balance="p2c",
        where="web.conf:3",
        limits=worker.DatabaseLimits(connections=32),
    )


@pytest.mark.parametrize(
    ("processes", "members", "share"),
    [
        (1, "h/a/u/p", 32),
        (4, "h/a/u/p", 8),
        (3, "h/a/u/p", 10),
        (4, "h/a/u/p, h/b/u/p, i/a/u/p", 4),
    ],
)
def test_connections_are_shared(home: Path, processes: int, members: str, share: int) -> None:
    """By the workers, and by members that are on one server."""
    text = f"{ROUTES}[server]\nprocesses = {processes}\n"
    text += f"[@a]\ntype = postgresql\nmembers = {members}\n"
    limits = load(home, text).worker.database_clusters["a"].limits
    assert limits.connections == share


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("max_connections = 3", "max_connections: 3 are too few for 4 workers and 1 members on"),
        ("min_connections = 9", "min_connections: one worker may have 8 connections to a member"),
        ("pooler = session", "pooler: session is none of no, transaction"),
        ("passfile = none", "passfile: there is no file "),
        ("cafile = none", "cafile: it has no effect without ssl = verify-full"),
        ("ssl = verify-ca", "ssl: verify-ca is neither yes nor no, nor verify-full"),
        ("read_timeout = 5", "read_timeout: it has no effect on connections to databases"),
        ("check = / every 5s", "check: it has no effect on connections to databases"),
    ],
)
def test_wrong_keys_of_databases(home: Path, lines: str, reason: str) -> None:
    """Each is told at its line."""
    text = f"{ROUTES}[server]\nprocesses = 4\n"
    text += f"[@a]\ntype = postgresql\nmembers = h/db/user/pw\n{lines}\n"
    (complaint,) = refusal(home, text)
    assert complaint.startswith(f"web.conf:8: {reason}")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("pooler = transaction", "pooler: it is for databases"),
        ("min_connections = 1", "min_connections: it is for databases"),
        ("ssl = verify-full", "ssl: verify-full is for databases"),
    ],
)
def test_keys_of_databases_elsewhere(home: Path, lines: str, reason: str) -> None:
    """A cluster of type http has none of them."""
    (complaint,) = refusal(home, f"{ROUTES}[@a]\nmembers = h\n{lines}\n")
    assert complaint.startswith(f"web.conf:5: {reason}")


def test_access_to_databases(home: Path) -> None:
    """TLS, its authorities, the password file and the pooler."""
    (home / "etc/skitaid/cert/ca.pem").write_bytes(certificate_and_key()[0])
    (home / "etc/skitaid/pgpass").write_text("h:5432:db:user:hunter2")
    (home / "etc/skitaid/pgpass").chmod(0o600)
    text = f"{ROUTES}[@a]\ntype = postgresql\nmembers = h/db/user/\nssl = verify-full\n"
    text += "cafile = ca.pem\npassfile = pgpass\npooler = transaction\n"
    assert load(home, text).worker.database_clusters["a"].access == worker.DatabaseAccess(
        "verify-full",
        str(home / "etc/skitaid/cert/ca.pem"),
        str(home / "etc/skitaid/pgpass"),
        is_pooled=True,
    )


@pytest.mark.parametrize(("ssl", "port"), [("no", 80), ("yes", 443)])
def test_http_cluster(home: Path, ssl: str, port: int) -> None:
    """With ssl the default port is another."""
    text = f"{ROUTES}[@web]\nssl = {ssl}\nbalance = leastconn\nmembers =\n  a\n  b:81 ; two\n"
    assert load(home, text).worker.http_clusters["web"] == worker.HttpCluster(
        name="web",
        members=(worker.Member("a", port), worker.Member("b", 81)),
        tls=ssl == "yes",
        balance="leastconn",
        where="web.conf:3",
    )


def test_how_a_cluster_is_asked(home: Path) -> None:
    """Hedges after a time, or after one that is learnt; a cap on connections."""
    text = f"{ROUTES}[@web]\nmembers = a\nbalance = hash\nhedge = {{}}\nmax_connections = 8\n"
    for written, read in (("p95", "p95"), ("P95", "p95"), ("no", None), ("0.05", 0.05)):
        cluster = load(home, text.format(written)).worker.http_clusters["web"]
        assert (cluster.hedge, cluster.max_connections) == (read, 8)
        assert cluster.balance == "hash"


def test_hedge_that_is_no_time(home: Path) -> None:
    """All that may stand there is told."""
    text = f"{ROUTES}[@web]\nmembers = a\nhedge = p99\nmax_connections = 0\n"
    assert refusal(home, text) == [
        "web.conf:5: hedge: p99 is not a time; write seconds, or like 30s, 5m, 1h;"
        " or write p95, or no",
        "web.conf:6: max_connections: 0 is too small; the least is 1",
    ]


def test_checks(home: Path) -> None:
    """A path, and how often."""
    text = f"{ROUTES}[@web]\nmembers = a\ncheck = {{}}\n"
    for written, read in (
        ("/health every 5s", worker.Check("/health", 5.0)),
        ("/health?deep=1  every  1m", worker.Check("/health?deep=1", 60.0)),
        ("no", None),
    ):
        assert load(home, text.format(written)).worker.http_clusters["web"].check == read


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("/health", "/health is not of the form /path every 5s; or write no"),
        ("health every 5s", "health every 5s is not of the form /path every 5s; or write no"),
        ("/a b every 5s", "/a b every 5s is not of the form /path every 5s; or write no"),
        ("/health every 0.1s", "0.1s is too small; the least is 1"),
        ("/health every minute", "minute is not a time; write seconds, or like 30s, 5m, 1h"),
    ],
)
def test_checks_that_are_none(home: Path, check: str, reason: str) -> None:
    """It is told how one is written."""
    (complaint,) = refusal(home, f"{ROUTES}[@web]\nmembers = a\ncheck = {check}\n")
    assert complaint == f"web.conf:5: check: {reason}"


def test_hedges_of_databases(home: Path) -> None:
    """Reads may be asked of a second member too."""
    text = f"{ROUTES}[@a]\ntype = postgresql\nhedge = 0.1\nmembers = h/db/user/pw\n"
    assert load(home, text).worker.database_clusters["a"].hedge == 0.1


# [certification]

TLS = f"{ROUTES}[server]\nssl = yes\n[certification]\ncertfile = my.pem\n"


def test_ssl_without_certificate(home: Path) -> None:
    """It is refused where ssl is switched on."""
    reason = "ssl: it wants a certfile in [certification]"
    assert refused_key(home, "ssl = yes") == f"web.conf:4: {reason}"


def test_missing_certificate(home: Path) -> None:
    """The whole path is named."""
    file = home / "etc/skitaid/cert/my.pem"
    assert refusal(home, TLS) == [
        f"web.conf:6: certfile: {file} cannot be read: No such file or directory"
    ]


def refused_certificate(home: Path, pem: bytes, more: str = "") -> str:
    (home / "etc/skitaid/cert/my.pem").write_bytes(pem)
    (complaint,) = refusal(home, TLS + more)
    return complaint


def test_certificate_without_key(home: Path) -> None:
    """What to do about it is said."""
    certificate, _ = certificate_and_key()
    complaint = refused_certificate(home, certificate)
    assert complaint.endswith("holds no private key; append it to the certificate")


def test_key_without_certificate(home: Path) -> None:
    """A key alone, or any other file, is no certificate."""
    _, key = certificate_and_key()
    assert "holds no certificate in PEM form" in refused_certificate(home, key)


def test_key_of_another_certificate(home: Path) -> None:
    """Files that were mixed up are found before the first visitor finds them."""
    (certificate, _), (_, key) = certificate_and_key(), certificate_and_key()
    complaint = refused_certificate(home, certificate + key)
    assert complaint == "web.conf:6: certfile: its private key belongs to another certificate"


def test_broken_certificate(home: Path) -> None:
    """OpenSSL's reason is passed on where there is no plainer word."""
    pem = b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----"
    assert "certfile: OpenSSL cannot read it" in refused_certificate(home, pem)


@pytest.mark.parametrize(
    ("line", "reason"),
    [("", "passphrase is needed for"), ("passphrase = wrong\n", "passphrase does not open")],
)
def test_encrypted_key(home: Path, line: str, reason: str) -> None:
    """A missing or wrong passphrase is a complaint; nobody is asked for it, nothing shows it."""
    certificate, key = certificate_and_key("right")
    complaint = refused_certificate(home, certificate + key, line)
    assert reason in complaint
    assert "wrong" not in complaint


def test_broken_cafile(home: Path) -> None:
    """The authorities are loaded too, before they are needed."""
    (home / "etc/skitaid/cert/my.pem").write_bytes(b"".join(certificate_and_key()))
    (home / "etc/skitaid/cert/ca.pem").write_bytes(b"nothing")
    (complaint,) = refusal(home, TLS + "cafile = ca.pem\n")
    assert complaint.startswith("web.conf:7: cafile: OpenSSL cannot read it")


def test_certificate_is_looked_up_beside_the_conf(home: Path) -> None:
    """Relative names are in ../cert, absolute ones are taken as they are."""
    cert = home / "etc/skitaid/cert/my.pem"
    cert.write_bytes(b"".join(certificate_and_key("right")))
    authorities = home / "ca.pem"
    authorities.write_bytes(certificate_and_key()[0])
    settings = load(home, f"{TLS}passphrase = right\nclient_ca = {authorities}\n")
    tls = settings.worker.tls
    assert tls is not None
    assert (tls.certificates[0].file, tls.client_ca) == (str(cert), authorities.read_text())


def test_certification_without_ssl(home: Path) -> None:
    """It may stand there unused."""
    settings = load(home, f"{ROUTES}[certification]\ncertfile = not-yet.pem\n")
    assert settings.worker.tls is None


# skitaid.conf


def fleet(directory: Path, text: str) -> FleetSettings:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "skitaid.conf").write_text(text)
    return load_fleet(directory / "skitaid.conf", {})


def test_fleet_mistakes(tmp_path: Path) -> None:
    """They are told like those of a server."""
    with pytest.raises(ConfError) as raised:
        fleet(tmp_path, "[global]\nhome = no\npython = /no/python\nvarpath = x\n[server]\n")
    assert str(raised.value).split("\n") == [
        f"skitaid.conf:2: home: there is no directory {tmp_path}/no",
        "skitaid.conf:3: python: there is no program /no/python",
        "skitaid.conf:4: varpath: unknown key in [global]; did you mean var_path?",
        "skitaid.conf:5: [server]: unknown section; there is only [global]",
    ]


def test_missing_fleet_conf(tmp_path: Path) -> None:
    """Everything has a default."""
    path = tmp_path / "etc/skitaid/skitaid.conf"
    expected = FleetSettings(tmp_path, Path("/var/local/skitaid"), sys.executable)
    assert load_fleet(path) == expected


def test_relative_var_path_starts_at_the_home(tmp_path: Path) -> None:
    """So a home can be moved as a whole."""
    settings = fleet(tmp_path / "etc/skitaid", "[global]\nvar_path = var\n")
    assert (settings.home, settings.var_path) == (tmp_path, tmp_path / "var")


# the tables, the sample and the reference

TABLES = {"server": SERVER, "certification": CERTIFICATION, "@": CLUSTER}
# What a sample or a reference cannot show as a value: examples, or words for what is worked out.
WITHOUT_FIXED_DEFAULT = {"securekey", "admin_password", "name", "members", "home", "python"}
KEYS = [(section, key) for section, table in TABLES.items() for key in table]


def same_default(key: Key, written: str) -> bool:
    if key.name in WITHOUT_FIXED_DEFAULT or key in CERTIFICATION:
        return True
    return bool(key.parse(written) == key.parse(key.default))


@pytest.mark.parametrize(("section", "key"), KEYS, ids=lambda value: getattr(value, "name", value))
def test_sample_has_every_key_with_its_default(section: str, key: Key) -> None:
    """The sample is complete, and each of its lines is what holds without the line."""
    _, *bodies = re.split(rf"^;?\[{section}.*\]$", SAMPLE.read_text(), flags=re.M)
    body = "".join(re.split(r"^;?\[", each, flags=re.M)[0] for each in bodies)
    found = re.search(rf"^;?{key.name} *= ?(.*)$", body, flags=re.M)
    assert found, f"{key.name} is missing in [{section}]"
    assert same_default(key, found[1])


@pytest.mark.parametrize("key", GLOBAL, ids=lambda key: key.name)
def test_shipped_fleet_conf_has_every_key(key: Key) -> None:
    """The same for skitaid.conf."""
    text = (ROOT / "etc/skitaid/skitaid.conf").read_text()
    found = re.search(rf"^;{key.name} = (.*)$", text, flags=re.M)
    assert found
    assert same_default(key, found[1])


REFERENCE_HEADINGS = {"server": SERVER, "certification": CERTIFICATION, "@name": CLUSTER}


@pytest.mark.parametrize("title", [*REFERENCE_HEADINGS, "skitaid.conf"])
def test_reference_has_every_key_with_its_default(title: str) -> None:
    """Each table of the reference has the rows of the table in the code, in its order."""
    table = REFERENCE_HEADINGS.get(title, GLOBAL)
    heading = rf"^## \[?{re.escape(title)}\]?$"
    body = re.split(heading, REFERENCE.read_text(), flags=re.M)[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*?) \| .* \|$", body, flags=re.M)
    assert [name for name, _ in rows] == [key.name for key in table]
    for key, (_, default) in zip(table, rows, strict=True):
        assert same_default(key, "" if default == "empty" else default.strip("`"))


def test_every_limit_has_a_key() -> None:
    """A limit that nobody can set is not a limit but a surprise."""
    assert set(conf_keys.LIMIT_FIELDS) == {field.name for field in fields(worker.Limits)}


# user and group


def test_only_root_can_be_somebody_else(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are told with their lines; oneself is nobody else."""
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    monkeypatch.setattr("os.getegid", lambda: 65534)
    assert refused_key(home, "user = root").endswith("user: only root can run workers as root")
    assert refused_key(home, "user = nobody\ngroup = root").endswith(
        "group: only root can give workers root"
    )
    assert load(home, f"[server]\nuser = nobody\n{ROUTES}").identity is None


def test_preload_is_not_for_workers_of_another_user(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would run the apps' imports with the rights of the master."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    complaint = refused_key(home, "user = nobody\npreload = yes")
    assert "preload: root would import the apps, which are for nobody" in complaint
    assert load(home, f"[server]\nuser = root\npreload = yes\n{ROUTES}").preload
