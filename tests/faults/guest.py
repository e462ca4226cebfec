"""What the sessions of the campaign hold: small things, shared things, and arrays of several chunks.

The source below runs in the session and, as its model, in the process that watches it.
"""

from typing import Any

SOURCE = """
import hashlib, random
import numpy as np

class Log:
    def __init__(self, entries): self.entries = entries

small, entries, total = {}, [], 0
log = Log(entries)
big = np.zeros(SIZE, dtype="u1")
view = big[SIZE // 2:]

def step(seed):
    global total
    dice = random.Random(seed)
    total += seed
    small[dice.randrange(40)] = dice.random()
    log.entries.append((seed, small if dice.random() < 0.5 else None))
    del entries[:-30]
    if big.size:
        place = dice.randrange(big.size)
        view[place // 2:][:500] += 1
        big[place:][:100_000] = np.frombuffer(dice.randbytes(100_000), "u1")[:big.size - place]

def digest():
    held = [(seed, other is small) for seed, other in entries]
    shared = log.entries is entries, bool(np.shares_memory(big, view)) or not big.size
    text = repr((total, list(small.items()), held, shared))
    return hashlib.blake2b(text.encode() + big.tobytes() + view.tobytes(), digest_size=10).hexdigest()
"""


def setup(size: int) -> str:
    """The first cell of a session that has so many bytes of array."""
    return SOURCE.replace("SIZE", str(size))


def cell(seed: int) -> str:
    """What a session runs, over and over: it shows what it has before, and after."""
    return f"print(digest()); step({seed}); print(digest())"


class Model:
    """What a session must hold."""

    def __init__(self, size: int) -> None:
        self._space: dict[str, Any] = {}
        exec(setup(size), self._space)

    def digest(self) -> str:
        """The digest of it all."""
        return self._space["digest"]()

    def step(self, seed: int) -> None:
        """A cell was committed."""
        self._space["step"](seed)
