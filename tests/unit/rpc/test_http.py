"""HTTP as clients speak it: keep-alive, pipelining, preflights, old versions, and what is refused."""

from __future__ import annotations

import http.client
import json

import pytest

from metis.rpc import RpcConfig
from tests.unit.rpc.raw_client import RawClient, ask, call, post, result_of
from tests.unit.rpc.running_server import RunningServer, running_server

Address = tuple[str, int]
METAMASK = "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn"


def test_request__with_a_standard_client__is_answered(address: Address) -> None:
    connection = http.client.HTTPConnection(*address, timeout=20)
    for request_id in range(3):
        connection.request(
            "POST", "/", call("test_echo", "hello", request_id=request_id), {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Content-Type")) == (200, "application/json")
        assert json.loads(answer.read()) == {"jsonrpc": "2.0", "id": request_id, "result": "hello"}
    connection.close()


def test_requests__pipelined_in_one_write__are_answered_in_order(address: Address) -> None:
    with RawClient(address) as client:
        methods = ["test_pool", "test_echo", "test_async", "test_echo"] * 10
        client.send(b"".join(post(call(method, index, request_id=index)) for index, method in enumerate(methods)))
        assert [client.answer().json["id"] for _ in methods] == list(range(40))


def test_request__in_single_bytes__is_answered(address: Address) -> None:
    with RawClient(address) as client:
        for _ in range(2):
            for byte in post(call("test_echo", "slow")):
                client.send(bytes([byte]))
            assert client.answer().json["result"] == "slow"


def test_request__with_chunked_body__is_answered(address: Address) -> None:
    body = call("test_echo", "chunked")
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"1;extension=x\r\n%c\r\n" % byte for byte in body)
    with RawClient(address) as client:
        for _ in range(2):
            client.send(head + chunks + b"0\r\nTrailer: dropped\r\n\r\n")
            assert client.answer().json["result"] == "chunked"


def test_client__that_ends_its_side__still_gets_its_answers(address: Address) -> None:
    with RawClient(address) as client:
        client.send(post(call("test_pool", 1)) + post(call("test_pool", 2)))
        client.end()
        assert [client.answer().json["result"][1] for _ in range(2)] == [1, 2]
        assert client.is_ended()


def test_request__with_connection_close__is_the_last(address: Address) -> None:
    with RawClient(address) as client:
        client.send(post(call("test_echo"), "Connection: close") + post(call("test_echo")))
        assert client.answer().headers["connection"] == "close"
        assert client.is_ended()


def test_http_1_0__without_host__is_answered_and_closed(address: Address) -> None:
    body = call("test_echo", "old")
    head = b"POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    with RawClient(address) as client:
        client.send(head + b"\r\n" + body)
        assert client.answer().json["result"] == "old"
        assert client.is_ended()
    with RawClient(address) as client:
        for _ in range(2):
            client.send(head + b"Connection: keep-alive\r\n\r\n" + body)
            assert client.answer().headers["connection"] == "keep-alive"


def test_expectation__of_100_continue__is_met_before_the_body(address: Address) -> None:
    body = call("test_echo", "after")
    request = post(body, "Expect: 100-continue")
    with RawClient(address) as client:
        client.send(request[: -len(body)])
        assert client.answer(has_body=False).status == 100
        client.send(body)
        assert client.answer().json["result"] == "after"
    assert ask(address, post(body, "Expect: a-miracle")).status == 417


def test_upgrade__to_http_2__is_ignored(address: Address) -> None:
    """Java's client offers h2c with every request."""
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    with RawClient(address) as client:
        client.send(post(call("test_echo", 1), *offer) + post(call("test_echo", 2), *offer))
        client.send(post(call("test_echo", 3)))
        assert [client.answer().json["result"] for _ in range(3)] == [1, 2, 3]


def test_message__of_notifications_only__gets_an_empty_answer(address: Address) -> None:
    notification = b'{"jsonrpc":"2.0","method":"test_echo"}'
    for body in (notification, b"[" + notification + b"," + notification + b"]"):
        answer = ask(address, post(body))
        assert (answer.status, answer.body, "content-length" in answer.headers) == (204, b"", False)


def test_body__that_is_not_json__gets_a_parse_error(address: Address) -> None:
    for body in (b"", b"{", b"\xff\xfe", b"eth_chainId"):
        assert result_of(address, body)["error"]["code"] == -32700


# Pages.


def test_get__of_the_root__says_what_this_is(address: Address) -> None:
    answer = ask(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.status == 200
    assert answer.json["namespaces"] == ["eth", "rpc", "test"]
    head = ask(address, b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", has_body=False)
    assert (head.status, head.headers["content-length"]) == (200, str(len(answer.body)))


def test_get__of_health__is_ok(address: Address) -> None:
    answer = ask(address, b"GET /health?probe=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (answer.status, answer.json) == (200, {"status": "ok", "pool_waiting_count": 0})


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /nothing HTTP/1.1", 404),
        ("PUT / HTTP/1.1", 405),
        ("DELETE / HTTP/1.1", 405),
        ("TRACE / HTTP/1.1", 405),
        ("CONNECT example.org:443 HTTP/1.1", 405),
        ("PATCH /health HTTP/1.1", 405),
    ],
)
def test_request__for_what_is_not_there__is_refused_and_closed(
    address: Address, request_line: str, status: int
) -> None:
    with RawClient(address) as client:
        client.send(f"{request_line}\r\nHost: localhost\r\n\r\n".encode())
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert client.is_ended()


def test_post__elsewhere__is_refused_and_with_query_or_full_url_served(address: Address) -> None:
    assert ask(address, post(call("test_echo"), target="/v1/rpc")).status == 404
    assert ask(address, post(call("test_echo"), target="/?key=1")).status == 200
    assert ask(address, post(call("test_echo"), target="http://localhost:8545/")).status == 200
    assert ask(address, post(call("test_echo"), target="http://localhost:8545")).status == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"\0" * 100,
        b"hello\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
)
def test_bytes__that_are_no_good_http__get_400_or_405(address: Address, garbage: bytes) -> None:
    with RawClient(address) as client:
        client.send(garbage)
        assert client.answer().status in (400, 405)
        assert client.is_ended()
    assert result_of(address, call("test_echo", "alive"))["result"] == "alive"


# Content types.


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/json-rpc", "application/jsonrequest"],
)
def test_content_type__of_json__is_served(address: Address, content_type: str) -> None:
    request = post(call("test_echo")).replace(b"application/json", content_type.encode(), 1)
    assert ask(address, request).status == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_content_type__of_something_else__is_refused(address: Address, content_type: str) -> None:
    request = post(call("test_echo")).replace(b"application/json", content_type.encode(), 1)
    assert ask(address, request).status == 415


def test_content_type__missing__is_served_to_programs_and_refused_to_pages(address: Address) -> None:
    request = post(call("test_echo")).replace(b"Content-Type: application/json\r\n", b"", 1)
    assert ask(address, request).status == 200
    from_page = request.replace(b"\r\n\r\n", b"\r\nOrigin: https://example.org\r\n\r\n", 1)
    assert ask(address, from_page).status == 415


def test_content_encoding__of_a_request__is_refused(address: Address) -> None:
    assert ask(address, post(b"\x1f\x8b", "Content-Encoding: gzip")).status == 415
    assert ask(address, post(call("test_echo"), "Content-Encoding: identity")).status == 200


# Host names: a page whose name was re-pointed to this machine still sends its own name.


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8545",
        "127.0.0.1:8545",
        "[::1]:8545",
        "[::1]",
        "192.168.1.5",
        "10.0.0.1:80",
        "127.0.0.1:",
    ],
)
def test_host__of_this_machine_or_an_address__is_served(address: Address, host: str) -> None:
    assert ask(address, post(call("test_echo"), host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "attacker.example:8545",
        "localhost.attacker.example",
        "127.0.0.1.nip.io",
        "localhost:8545@attacker.example",
        "127.0.0.1:8545:1",
        "localhost:x",
        "[::1].attacker.example",
        "[attacker.example]",
        "0x7f000001.example",
        "::1",
        "[]",
    ],
)
def test_host__of_a_foreign_name__is_forbidden_for_calls_pages_and_websockets(address: Address, host: str) -> None:
    answer = ask(address, post(call("test_echo"), host=host))
    assert (answer.status, answer.body) == (403, b"invalid host specified\n")
    assert ask(address, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status == 403
    upgrade = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert ask(address, upgrade.encode()).status == 403


def test_host__that_is_configured__is_served() -> None:
    with running_server(RpcConfig(port=0, hosts=("Node.example",))) as server:
        assert ask(server.address, post(call("test_echo"), host="node.EXAMPLE:8545")).status == 200
        assert ask(server.address, post(call("test_echo"), host="other.example")).status == 403
    with running_server(RpcConfig(port=0, hosts=("*",))) as server:
        assert ask(server.address, post(call("test_echo"), host="other.example")).status == 200


# Origins.


def test_preflight__as_metamask_sends_it__is_granted(address: Address) -> None:
    preflight = (
        "OPTIONS / HTTP/1.1\r\nHost: localhost:8545\r\nConnection: keep-alive\r\nAccept: */*\r\n"
        f"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\nOrigin: {METAMASK}\r\n"
        "User-Agent: Mozilla/5.0\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: none\r\nSec-Fetch-Dest: empty\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en\r\n\r\n"
    )
    with RawClient(address) as client:
        client.send(preflight.encode())
        granted = client.answer()
        assert granted.status == 204
        assert granted.headers["access-control-allow-origin"] == "*"
        assert "POST" in granted.headers["access-control-allow-methods"]
        assert granted.headers["access-control-allow-headers"] == "content-type"
        assert int(granted.headers["access-control-max-age"]) > 0
        client.send(post(call("test_echo", "from the wallet"), f"Origin: {METAMASK}"))
        answer = client.answer()
        assert answer.json["result"] == "from the wallet"
        assert answer.headers["access-control-allow-origin"] == "*"


def test_preflight__for_a_private_network__is_granted_when_asked(address: Address) -> None:
    lines = [
        "OPTIONS / HTTP/1.1",
        "Host: localhost",
        "Origin: https://example.org",
        "Access-Control-Request-Method: POST",
    ]
    asked = "\r\n".join([*lines, "Access-Control-Request-Private-Network: true", "", ""])
    assert ask(address, asked.encode()).headers["access-control-allow-private-network"] == "true"
    plain = "\r\n".join([*lines, "", ""])
    assert "access-control-allow-private-network" not in ask(address, plain.encode()).headers


def test_options__without_preflight__says_what_is_allowed(address: Address) -> None:
    answer = ask(address, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (answer.status, answer.headers["allow"]) == (204, "POST, GET, HEAD, OPTIONS")


def test_answer__to_a_program__has_no_cors_headers(address: Address) -> None:
    assert "access-control-allow-origin" not in ask(address, post(call("test_echo"))).headers


def test_refusal__of_a_pages_request__can_be_read_by_the_page(address: Address) -> None:
    answer = ask(address, post(call("test_echo"), "Origin: https://example.org", target="/wrong"))
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (404, "*")


def test_origin__not_configured__is_forbidden_before_anything_runs() -> None:
    """Also for requests that need no preflight: their answer could not be read, but their effect would stay."""
    with running_server(RpcConfig(port=0, origins=("https://app.example",))) as server:
        allowed = ask(server.address, post(call("test_echo"), "Origin: https://APP.example"))
        assert allowed.status == 200
        assert allowed.headers["access-control-allow-origin"] == "https://APP.example"
        assert allowed.headers["vary"] == "Origin"
        for origin in ("https://evil.example", "null", "https://app.example.evil.example", "http://app.example"):
            assert ask(server.address, post(call("test_echo"), f"Origin: {origin}")).status == 403
            preflight = f"OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n\r\n"
            assert ask(server.address, preflight.encode()).status == 403
        assert ask(server.address, post(call("test_echo"))).status == 200
        assert server.server.counters.of_method("test_echo").request_count == 2


def test_known_head__of_a_refused_origin__stays_refused(server: RunningServer) -> None:
    """Decisions about heads are kept by their exact bytes; another head is decided anew."""
    with RawClient(server.address) as client:
        for _ in range(3):
            client.send(post(call("test_echo", "x")))
            assert client.answer().status == 200
        client.send(post(call("test_echo", "x"), host="attacker.example"))
        assert client.answer().status == 403
