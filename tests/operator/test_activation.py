"""A server whose socket somebody else has bound, as systemd does."""

from __future__ import annotations

import signal
import socket

from operator_session import Home, Ran, free_port

from skitaid.supervisor.listeners import listen

# It is the shell's pid that the server will have.
AS_SYSTEMD = 'exec 3<&"$0"; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'


def activated(home: Home, listener: socket.socket) -> list[str]:
    return ["bash", "-c", AS_SYSTEMD, str(listener.fileno()), *home.skitaid, "serve", "web"]


def test_a_given_socket_is_served_through_reload_and_restart(home: Home) -> None:
    """What connects before the server is there is answered by it; nothing binds again."""
    home.write_app("webapp.py")
    port = home.write_conf("web")
    with listen("127.0.0.1", port) as listener:
        early = socket.create_connection(("127.0.0.1", port))
        early.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
        command = activated(home, listener)
        server = home.start(command, "web", port, pass_fds=(listener.fileno(),))
        with early, early.makefile("rb") as answer:
            assert answer.read().endswith(b"hello")
        server.send(signal.SIGHUP)
        server.wait_log("is ready after", times=2)
        server.send(signal.SIGUSR2)
        server.wait_log("the restart is complete")
        assert server.get("/hello").text == "hello"
        assert server.stop() == 0


def test_a_socket_of_another_port_is_refused(home: Home) -> None:
    """One sentence with both ports."""
    home.write_app("webapp.py")
    port = home.write_conf("web")
    with listen("127.0.0.1", free_port()) as listener:
        ran = run_activated(home, listener)
        bound = listener.getsockname()[1]
    expected = f"LISTEN_FDS: the socket given has port {bound}, the conf {port}"
    assert (ran.code, ran.err) == (1, f"server web: {expected}\n")


def test_a_given_file_is_served_and_stays(home: Home) -> None:
    """Who has made it removes it; another one than that of the conf is refused."""
    home.write_app("webapp.py")
    path = home.root / "web.sock"
    conf = "[server]\nip = unix:{path}\n[routes:line]\n/ = {app}/webapp"
    home.write_conf("web", conf.replace("{path}", str(path)))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        server = home.start(activated(home, listener), "web", 0, pass_fds=(listener.fileno(),))
        with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as answer:
            client.connect(str(path))
            client.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
            assert answer.read().endswith(b"hello")
        assert server.stop() == 0
        assert path.exists()
        home.write_conf("web", conf.replace("{path}", f"{path}.other"))
        told = run_activated(home, listener).err
    assert f"the socket given is unix:{path}, the conf has ip = unix:{path}.other" in told


def run_activated(home: Home, listener: socket.socket) -> Ran:
    return home.run_command(activated(home, listener), pass_fds=(listener.fileno(),))


def test_variables_for_another_process_mean_nothing(home: Home) -> None:
    """As those that a parent has forgotten to remove."""
    home.env |= {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    assert home.serve("web").get("/hello").text == "hello"
