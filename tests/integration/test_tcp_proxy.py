"""The proxy does the harm that it says: what is tested with it would mean nothing otherwise."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest

from tests.support.tcp_proxy import TcpProxy


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says everything back; a connection that ends is closed."""

    def talk(connection: socket.socket) -> None:
        with connection, suppress(ConnectionResetError):  # a test that ends may do that
            while data := connection.recv(4096):
                connection.sendall(data)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo: int) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", echo) as started:
        yield started


@pytest.fixture
def connect(proxy: TcpProxy) -> Iterator[Callable[[], socket.socket]]:
    made: list[socket.socket] = []

    def new() -> socket.socket:
        made.append(socket.create_connection(("127.0.0.1", proxy.port), 5))
        return made[-1]

    yield new
    for connection in made:
        connection.close()


def said(connection: socket.socket, text: bytes = b"hello") -> bytes:
    connection.sendall(text)
    return connection.recv(4096)


def test_what_goes_in_comes_out(proxy: TcpProxy, connect: Callable[[], socket.socket]) -> None:
    assert said(connect()) == b"hello"
    assert proxy.connections == 1


def test_shut_breaks_connections_and_takes_no_new_ones(proxy: TcpProxy, connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    assert said(connection) == b"hello"
    proxy.shut()
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    with pytest.raises((ConnectionResetError, AssertionError)):
        assert said(connect())
    proxy.open()
    assert said(connect()) == b"hello"


def test_hang_takes_connections_and_passes_nothing(proxy: TcpProxy, connect: Callable[[], socket.socket]) -> None:
    proxy.hang()
    connection = connect()
    connection.settimeout(0.3)
    with pytest.raises(TimeoutError):
        said(connection)
    proxy.open()
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert said(connect()) == b"hello"


def test_delay_makes_every_piece_later(proxy: TcpProxy, connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    proxy.delay(0.2)
    started = time.monotonic()
    assert said(connection) == b"hello"
    assert time.monotonic() - started >= 0.4


def test_reset_breaks_what_is_there_and_lets_new_ones_in(proxy: TcpProxy, connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    assert said(connection) == b"hello"
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert said(connect()) == b"hello"


def test_half_close_ends_the_answers_only(proxy: TcpProxy, connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    assert said(connection) == b"hello"
    proxy.half_close()
    assert connection.recv(1) == b""
    connection.sendall(b"still heard")


def test_a_commit_arrives_and_its_answer_does_not(database_url: str) -> None:
    """Cut in the middle of COMMIT: the client sees a broken connection, and PostgreSQL has committed."""
    address = psycopg.conninfo.conninfo_to_dict(database_url)
    with (
        TcpProxy(str(address["host"]), int(str(address["port"]))) as proxy,
        psycopg.connect(database_url, dbname="postgres", autocommit=True) as direct,
    ):
        direct.execute("CREATE TABLE IF NOT EXISTS cut (n int)")
        direct.execute("TRUNCATE cut")
        with psycopg.connect(database_url, dbname="postgres", host="127.0.0.1", port=proxy.port) as through:
            through.execute("INSERT INTO cut VALUES (1)")
            proxy.cut_at(b"COMMIT")
            with pytest.raises(psycopg.OperationalError):
                through.commit()
        assert proxy.cuts == 1
        assert direct.execute("SELECT n FROM cut").fetchall() == [(1,)]
        direct.execute("DROP TABLE cut")
