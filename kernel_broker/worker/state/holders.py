"""Whether the user's code keeps the namespace itself in a variable: any cell may then change anything."""

import gc
import types
from typing import Any

from kernel_broker.worker.state.pickling.live import LiveObjects
from kernel_broker.worker.state.reach import Reach

_NAMES = frozenset({"globals", "locals", "vars", "user_ns", "user_global_ns", "user_module", "__globals__"})
"""Names through which code gets at the namespace."""


class Holders:
    """What refers to the namespace of one shell."""

    def __init__(self, shell: Any, live: LiveObjects) -> None:
        self._shell = shell
        self._live = live
        self._found = False

    def any_after(self, seen: Reach) -> bool:
        """Whether one of them is the user's, now that code of this reach ran.

        Looked up only after code that could get at the namespace.
        """
        if seen.anything and (seen.names & _NAMES or not seen.names):
            space = self._shell.user_ns
            holders = gc.get_referrers(space)  # asked here: a generator's own cell would be among them
            self._found = any(map(self._is_users, holders))
        return self._found

    def _is_users(self, holder: Any) -> bool:
        if not isinstance(holder, dict | list | tuple | set | types.CellType):
            return False
        shell = self._shell
        kernel = getattr(shell, "kernel", None)
        owners = [vars(it) for it in (shell, kernel, getattr(kernel, "parent", None)) if it is not None]
        known = [shell.ns_table, *owners, *(owner.get("_trait_values") for owner in owners)]
        known += self._live.holders()
        return all(holder is not it for it in known)
