"""What a provider is: a small adapter for one piece of state that is in no variable."""

from typing import Any, ClassVar

from kernel_broker.worker.state.calm import Calm


class Provider:
    """Made in a fresh worker, when the state is still pristine; asked after every cell, so it must be quick.

    `collect` returns what is different from a fresh process, None if nothing is, and the identical object
    as long as nothing changed if that saves work. `apply` is given it in another process.
    """

    name: ClassVar[str]
    """Part of the format."""

    needs: ClassVar[str | None] = None
    """Asked only once this module is imported."""

    in_graph: ClassVar[bool] = False
    """Whether its value may refer to the user's objects, and so is stored with the variables."""

    paged: ClassVar[bool] = False
    """Whether its value is a dict of pages, each an entry of its own, written again only when changed."""

    reaches: ClassVar[bool] = True
    """Whether code in its value may run in any cell, unnamed; else only on a message of the front end's."""

    steady: ClassVar[bool] = False
    """Whether it returns the identical object as long as nothing in that changed: then only a new one is
    looked at."""

    late: ClassVar[bool] = False
    """Whether it is brought back after everything else, which might disturb it."""

    calm: Calm
    """Set by the registry; knows what cells made of the builtins."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    def collect(self) -> Any:
        """What to keep."""
        raise NotImplementedError

    def apply(self, value: Any) -> None:
        """Bring it back. What it raises is reported as a loss."""
        raise NotImplementedError
