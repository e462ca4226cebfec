"""At the standard level files are as the account has them."""

from collections.abc import Callable
from pathlib import Path

from fixtures.broker import Broker

MOVE = """
import os
os.mkdir('a'); os.mkdir('b')
open('a/f', 'w').write('x')
os.rename('a/f', 'b/g')
os.link('b/g', 'a/h')
print(sorted(os.listdir('a') + os.listdir('b')))
"""


def test_files_move_from_folder_to_folder(make_broker: Callable[..., Broker], tmp_path: Path) -> None:
    broker = make_broker(sandbox="standard")
    session = broker.create(cwd=str(tmp_path))
    result = broker.execute(session, MOVE).json()
    assert "['g', 'h']" in str(result["outputs"]), result
