"""An issuer of web tokens: keys of its own, and a server on the loopback that tells the public ones."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
ISSUER, AUDIENCE = "https://issuer.example.org", "kernels"


def public(key: Key, algorithm: str, key_id: str, **members: Any) -> dict[str, Any]:
    """The public half, as a JWKS has it."""
    maker = jwt.get_algorithm_by_name(algorithm)
    return {**maker.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig", **members}


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token, changed; None takes one out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 300}
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(key: Any, algorithm: str = "RS256", key_id: str | None = "one", **changes: Any) -> str:
    """A token with these claims."""
    return jwt.encode(claims(**changes), key, algorithm, headers={"kid": key_id} if key_id else None)


class Teller(ThreadingHTTPServer):
    """Answers every GET with a status and a document, and counts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.document: Any = {}
        self.asked: list[str | None] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Teller

    def do_GET(self) -> None:
        self.server.asked.append(self.headers["Authorization"])
        self.server.may_answer.wait(20)
        body = json.dumps(self.server.document).encode()
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@contextmanager
def teller() -> Iterator[Teller]:
    """A server that answers, until the block ends."""
    server = Teller()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.may_answer.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Clock:
    """Time that stands still until it is told to go."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
