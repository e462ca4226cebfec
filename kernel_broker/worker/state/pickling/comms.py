"""Comms: they live again under their ids, and say nothing to the front end about it."""

from typing import Any


def reduce_comm(_pickler: Any, comm: Any) -> Any:
    """With its callbacks; the kernel it speaks through is the one of the process."""
    state = {name: value for name, value in vars(comm).items() if name not in ("_trait_values", "_closed")}
    traits = dict(vars(comm).get("_trait_values", {}))
    traits.pop("kernel", None)
    state["_trait_values"] = traits
    return new_comm, (type(comm),), (state, comm._closed), None, None, fill_comm


def new_comm(kind: Any) -> Any:
    """A comm that is closed, so that it sends nothing should it be dropped half-way."""
    comm = object.__new__(kind)
    vars(comm)["_closed"] = True
    return comm


def fill_comm(comm: Any, state: tuple[dict[str, Any], bool]) -> None:
    """Give it its members. It is open once it is registered."""
    members, closed = state
    if not members["_trait_values"]:
        del members["_trait_values"]
    vars(comm).update(members, _to_open=not closed)
