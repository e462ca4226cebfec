"""Which of a notebook server's environment variables a session gets."""

from collections.abc import Mapping
from typing import Any

_FOR_EVERYONE = frozenset({"JPY_SESSION_NAME", "TZ", "LANG", "LANGUAGE"})
_PREFIXES = ("KERNEL_", "LC_")
_NEVER = ("SERVERLESS_KERNEL_", "KERNEL_BROKER_", "JUPYTERHUB_", "JUPYTER_TOKEN")
_SERVERS_OWN = frozenset({"JPY_PARENT_PID", "PYTHONHASHSEED", "MPLBACKEND"})


def session_environment(given: Mapping[str, str], kernel_spec: Any, *, local: bool) -> dict[str, str]:
    """The session's environment.

    A local broker is the same user on the same machine: all of the server's environment is passed on, as
    a local kernel would inherit it. A remote one gets what the kernelspec sets, and an allow-list: never
    the server's secrets.
    """
    asked_for = dict(getattr(kernel_spec, "env", None) or {})
    passed = {
        name: value
        for name, value in given.items()
        if not name.startswith(_NEVER)
        and name not in _SERVERS_OWN
        and (local or name in _FOR_EVERYONE or name in asked_for or name.startswith(_PREFIXES))
    }
    return {name: value for name, value in passed.items() if "\0" not in value and name}
