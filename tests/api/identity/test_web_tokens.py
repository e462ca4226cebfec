"""JSON web tokens: which open, which do not, and what happens as their issuer changes its keys or is away."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from issuer import AUDIENCE, CURVE, EDWARDS, ISSUER, RSA, Clock, Teller, public, sign, teller

from kernel_broker.api.identity.fetch import Fetcher
from kernel_broker.api.identity.key_set import KeyFile, KeyUrl, open_key_set, read_keys
from kernel_broker.api.identity.web_token import Claims, WebTokens
from kernel_broker.errors import BrokerError
from kernel_broker.sessions.ownership import Caller

KEYS = {
    "keys": [public(RSA, "RS256", "one"), public(CURVE, "ES256", "two"), public(EDWARDS, "EdDSA", "three")]
}


@pytest.fixture
def issuer() -> Iterator[Teller]:
    with teller() as server:
        server.document = KEYS
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def way(issuer: Teller, clock: Clock) -> AsyncIterator[WebTokens]:
    made = WebTokens(KeyUrl(issuer.url, Fetcher(), clock), Claims(ISSUER, AUDIENCE, admin="groups=staff"))
    yield made
    await made.close()


async def refusal(way: WebTokens, token: str) -> tuple[str, str]:
    with pytest.raises(BrokerError) as refused:
        await way.identify(token)
    return refused.value.problem.code, refused.value.problem.detail


async def test_tokens_of_every_kind_of_key(way: WebTokens, issuer: Teller) -> None:
    for key, algorithm, key_id in [
        (RSA, "RS256", "one"), (RSA, "RS512", "one"), (RSA, "PS256", "one"),
        (CURVE, "ES256", "two"), (EDWARDS, "EdDSA", "three"),
    ]:  # fmt: skip
        assert await way.identify(sign(key, algorithm, key_id)) == Caller("ann")
    assert len(issuer.asked) == 1


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": time.time() - 60}, "expired"),
    "not yet": ({"nbf": time.time() + 600}, "not valid here"),
    "for ever": ({"exp": None}, "exp"),
    "of another issuer": ({"iss": "https://other.example.org"}, "issuer"),
    "of no issuer": ({"iss": None}, "iss"),
    "for another audience": ({"aud": "mail"}, "udience"),
    "for no audience": ({"aud": None}, "aud"),
    "without an owner": ({"sub": None}, "'sub'"),
    "with a key nobody has": ({"key_id": "four"}, "does not have"),
    "with no key's name": ({"key_id": None}, "does not have"),
    "in the name of another key": ({"key_id": "two"}, "not valid here"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
async def test_what_does_not_open(way: WebTokens, changes: dict[str, Any], said: str) -> None:
    code, detail = await refusal(way, sign(RSA, **changes))
    assert code == "unauthorized"
    assert said in detail


@pytest.mark.parametrize("name", ["default", "*", "", "a\nb", "x" * 201])
async def test_names_that_cannot_own_sessions(way: WebTokens, name: str) -> None:
    assert (await refusal(way, sign(RSA, sub=name)))[0] == "forbidden"


def raw(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_tokens_that_a_public_key_is_enough_to_make(way: WebTokens) -> None:
    claims = jwt.decode(sign(RSA), options={"verify_signature": False})
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = pem.decode().replace("-----", "")  # pyjwt would not sign with what looks like a key
    for forged in [
        raw({"alg": "none", "kid": "one"}, claims),
        raw({"alg": ["RS256"], "kid": "one"}, claims),
        raw({"alg": "RS256", "kid": "one"}, claims),
        jwt.encode(claims, secret, "HS256", headers={"kid": "one"}),
    ]:
        assert (await refusal(way, forged))[0] == "unauthorized"
    changed = sign(RSA).split(".")
    changed[1] = sign(RSA, sub="root").split(".")[1]
    assert (await refusal(way, ".".join(changed)))[0] == "unauthorized"


@pytest.mark.parametrize("token", ["", "slk_abc", "a.b.c", "....", "a.b", "\u00e9.\u00e9.\u00e9"])
async def test_what_is_no_web_token_is_for_others_to_know(way: WebTokens, token: str) -> None:
    assert await way.identify(token) is None


@pytest.mark.parametrize(
    ("claims", "changes", "expected"),
    [
        (Claims(ISSUER, AUDIENCE, admin="groups=staff"), {"groups": ["staff", "x"]}, Caller("ann", True)),
        (Claims(ISSUER, AUDIENCE, admin="groups=staff"), {"groups": "staff"}, Caller("ann", True)),
        (Claims(ISSUER, AUDIENCE, admin="groups=staff"), {"groups": "staff-not"}, Caller("ann")),
        (Claims(ISSUER, AUDIENCE, admin="groups=staff"), {"groups": ["no staff"]}, Caller("ann")),
        (Claims(ISSUER, AUDIENCE, admin="boss"), {"boss": True}, Caller("ann", True)),
        (Claims(ISSUER, AUDIENCE, admin="boss"), {"boss": "true"}, Caller("ann")),
        (Claims(ISSUER, AUDIENCE), {"": True}, Caller("ann")),
        (Claims(ISSUER, AUDIENCE, "email", "realm.roles=a"), {"email": "a@b", "realm": {"roles": ["a"]}},
         Caller("a@b", True)),
        (Claims(ISSUER, AUDIENCE, "https://x.y/name"), {"https://x.y/name": "ann-lee"}, Caller("ann-lee")),
    ],
)  # fmt: skip
async def test_where_a_token_says_who_asks(
    tmp_path: Path, claims: Claims, changes: dict[str, Any], expected: Caller
) -> None:
    (tmp_path / "keys").write_text(json.dumps(KEYS))
    way = WebTokens(KeyFile(tmp_path / "keys"), claims)
    assert await way.identify(sign(RSA, **changes)) == expected


async def test_a_new_key_is_fetched_when_it_is_first_named_and_an_old_one_dies(
    way: WebTokens, issuer: Teller, clock: Clock
) -> None:
    assert await way.identify(sign(RSA)) == Caller("ann")
    issuer.document = {"keys": [public(CURVE, "ES256", "new")]}
    clock.now += 10
    assert await way.identify(sign(CURVE, "ES256", "new")) == Caller("ann")
    assert (await refusal(way, sign(RSA)))[0] == "unauthorized"
    issuer.document = KEYS
    clock.now += 400
    assert await way.identify(sign(RSA)) == Caller("ann")


async def test_keys_that_nobody_has_do_not_make_the_broker_ask_and_ask(
    way: WebTokens, issuer: Teller, clock: Clock
) -> None:
    await way.identify(sign(RSA))
    tokens = [sign(RSA, key_id=f"unknown-{number}") for number in range(20)]
    await asyncio.gather(*(refusal(way, token) for token in tokens))
    assert len(issuer.asked) == 1
    clock.now += 6
    await asyncio.gather(*(refusal(way, token) for token in tokens))
    assert len(issuer.asked) == 2


async def test_an_issuer_that_is_away_at_first(way: WebTokens, issuer: Teller, clock: Clock) -> None:
    issuer.status = 502
    assert (await refusal(way, sign(RSA)))[0] == "identity_unavailable"
    issuer.status, issuer.document = 200, {"keys": []}
    clock.now += 6
    assert (await refusal(way, sign(RSA)))[0] == "identity_unavailable"
    issuer.document = KEYS
    assert (await refusal(way, sign(RSA)))[0] == "identity_unavailable"  # it was asked a moment ago
    clock.now += 6
    assert await way.identify(sign(RSA)) == Caller("ann")
    assert len(issuer.asked) == 3


async def test_known_keys_outlive_an_issuer_that_is_away_for_a_day(
    way: WebTokens, issuer: Teller, clock: Clock
) -> None:
    await way.identify(sign(RSA))
    issuer.status = 503
    clock.now += 80_000
    assert await way.identify(sign(RSA)) == Caller("ann")
    assert (await refusal(way, sign(RSA, key_id="newer")))[0] == "identity_unavailable"
    clock.now += 10_000
    assert (await refusal(way, sign(RSA)))[0] == "identity_unavailable"


async def test_the_loop_goes_on_and_others_are_let_in_while_keys_are_fetched(
    way: WebTokens, issuer: Teller, clock: Clock
) -> None:
    await way.identify(sign(RSA))
    clock.now += 400
    issuer.may_answer.clear()
    waiting = asyncio.create_task(way.identify(sign(RSA)))
    while len(issuer.asked) < 2:
        await asyncio.sleep(0)
    assert await way.identify(sign(RSA)) == Caller("ann")
    assert not waiting.done()
    issuer.may_answer.set()
    assert await waiting == Caller("ann")


async def test_redirects_and_endless_answers_are_no_keys(
    way: WebTokens, issuer: Teller, clock: Clock
) -> None:
    issuer.status = 302
    assert (await refusal(way, sign(RSA)))[0] == "identity_unavailable"
    assert len(issuer.asked) == 1
    issuer.status, issuer.document = 200, {**KEYS, "padding": "x" * 2**20}
    clock.now += 6
    assert "bytes" in (await refusal(way, sign(RSA)))[1]


async def test_keys_in_a_file_are_rotated_too(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(json.dumps({"keys": [public(RSA, "RS256", "one")]}))
    way = WebTokens(open_key_set(str(file), Clock()), Claims(ISSUER, AUDIENCE))
    assert await way.identify(sign(RSA)) == Caller("ann")
    assert await way.identify(sign(RSA, key_id=None)) == Caller("ann")  # it can only be the one
    file.write_text(json.dumps({"keys": [public(CURVE, "ES256", "two")]}))
    assert (await refusal(way, sign(RSA)))[0] == "unauthorized"
    assert await way.identify(sign(CURVE, "ES256", "two")) == Caller("ann")


async def test_keys_that_are_damaged_or_of_another_algorithm_refuse_and_do_not_fail(tmp_path: Path) -> None:
    damaged = [
        {"kty": "RSA", "kid": "one", "n": "AQ", "e": "!"},
        {"kty": "RSA", "kid": "one"},
        {"kty": "EC", "kid": "one", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "OKP", "kid": "one", "crv": "X25519", "x": "AA"},
        public(RSA, "RS256", "one", alg="RS512"),
        public(CURVE, "ES256", "one"),
    ]
    for number, key in enumerate(damaged):
        (tmp_path / str(number)).write_text(json.dumps({"keys": [key]}))
        way = WebTokens(KeyFile(tmp_path / str(number)), Claims(ISSUER, AUDIENCE))
        assert (await refusal(way, sign(RSA)))[0] == "unauthorized", key


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"keys": 1}, {"keys": []}, {"keys": [1]}, {"keys": [{"kty": "oct", "k": "AAAA"}]},
     {"keys": [public(RSA, "RS256", "one", use="enc")]}],
)  # fmt: skip
def test_what_is_no_set_of_public_keys(document: Any) -> None:
    with pytest.raises(ValueError, match="it "):
        read_keys(document)
