"""Which of the broker's notices a notebook does not show.

That a thread, a process or a held lock lives in one process only is so everywhere, and front ends expect
such cells to be silent. These notices stay in the run's `notices` and the session's `pinned`.
"""

import re
from typing import Final

from kernel_broker.wire.events import Event

_EVERYDAY: Final = re.compile(
    r"Serverless Python: '[^']*' "
    r"\((?:_thread\.\w+|threading\.\w+|multiprocessing\.[\w.]*Process|_asyncio\.Task)\) cannot be saved "
)


def is_everyday(event: Event) -> bool:
    """Whether a message is such a notice; the broker's own messages belong to no client session."""
    if event["msg_type"] != "stream" or event["header"].get("session"):
        return False
    return _EVERYDAY.match(event["content"]["text"]) is not None
