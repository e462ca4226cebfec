"""Values that belong to a thread or a context: what the session's own thread sees travels."""

import contextlib
import contextvars
import threading
from typing import Any


def reduce_local(pickler: Any, local: threading.local) -> Any:
    """The attributes that the main thread sees."""
    return new_local, (type(local),), [pickler.main_thread_attributes(local)], None, None, fill_local


def new_local(kind: type[threading.local]) -> threading.local:
    """One without attributes; a subclass's `__init__` is not run again for this thread."""
    if kind is threading.local:
        return threading.local()
    local = kind.__new__(kind)
    vars(local)
    return local


def fill_local(local: threading.local, state: list[dict[str, Any]]) -> None:
    """Give this thread its attributes."""
    vars(local).update(state[0])


def reduce_context_variable(_pickler: Any, variable: contextvars.ContextVar[Any]) -> Any:
    """A variable with its default, and the value it has for the session's cells."""
    default: tuple[Any, ...] = ()
    with contextlib.suppress(LookupError):
        default = (contextvars.Context().run(variable.get),)
    current = contextvars.copy_context()
    state = [current[variable]] if variable in current else []
    return new_context_variable, (variable.name, *default), state, None, None, fill_context_variable


def new_context_variable(name: str, *default: Any) -> contextvars.ContextVar[Any]:
    """A variable of the same name."""
    return contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)


def fill_context_variable(variable: contextvars.ContextVar[Any], state: list[Any]) -> None:
    """Set its value, if it had one."""
    if state:
        variable.set(state[0])
