"""Chunks that are expected come in one request, whatever is asked for in between."""

from collections.abc import Iterator, Sequence

from kernel_broker.worker.state.ahead import Ahead


class Store:
    """Notes what it is asked for, and how much of it was taken."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.taken: list[str] = []

    def fetch(self, names: Sequence[str]) -> Iterator[bytes | None]:
        self.asked.append(list(names))
        for name in names:
            self.taken.append(name)
            yield name.encode()


def take(ahead: Ahead, names: str) -> str:
    return b"".join(piece or b"" for piece in ahead(list(names))).decode()


def test_what_comes_as_expected_is_asked_for_once() -> None:
    store = Store()
    ahead = Ahead(store.fetch, list("abcdef"))
    assert [take(ahead, names) for names in ("ab", "", "c", "def")] == ["ab", "", "c", "def"]
    assert store.asked == [list("abcdef")]


def test_what_is_out_of_turn_is_asked_for_and_the_rest_goes_on() -> None:
    store = Store()
    ahead = Ahead(store.fetch, list("abcdefa"))
    assert [take(ahead, names) for names in ("a", "d", "x", "ef", "b", "a")] == [
        "a",
        "d",
        "x",
        "ef",
        "b",
        "a",
    ]
    assert store.asked == [list("abcdefa"), list("defa"), ["x"], list("efa"), ["b"], ["a"]]


def test_what_is_not_taken_to_the_end_does_no_harm() -> None:
    ahead = Ahead(Store().fetch, list("abcdef"))
    pieces = ahead(list("abc"))
    assert next(pieces) == b"a"
    del pieces
    assert [take(ahead, names) for names in ("d", "ef")] == ["d", "ef"]


def test_an_order_of_its_own_is_not_read_ahead_for_ever() -> None:
    store = Store()
    names = "".join(chr(ord("a") + number) for number in range(26))
    ahead = Ahead(store.fetch, list(names))
    assert "".join(take(ahead, name) for name in reversed(names)) == names[::-1]
    assert len(store.taken) == len(names)
