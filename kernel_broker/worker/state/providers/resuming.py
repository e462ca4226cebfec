"""`%%on_resume`: cells that are run again when their session has moved to another process."""

from typing import Any

from kernel_broker.worker.state.providers.contract import Provider

_USAGE = "usage: %%on_resume [NAME] above the code, %on_resume to list, %on_resume -d [NAME] to forget"


class OnResume(Provider):
    """Their sources by name, in the order in which they were first run."""

    name = "on resume"

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._sources: dict[str, str] = {}
        self._value: dict[str, str] | None = None
        self._due = False
        shell.events.register("pre_run_cell", self._resume)
        shell.register_magic_function(self.on_resume, "line_cell", "on_resume")

    def collect(self) -> dict[str, str] | None:
        """The sources."""
        if self._sources != (self._value or {}):
            self._value = dict(self._sources) or None
        return self._value

    def apply(self, value: dict[str, str]) -> None:
        """Have them run before the next cell."""
        self._sources, self._value, self._due = dict(value), value, True

    def on_resume(self, line: str, cell: str | None = None) -> None:
        """Run a cell now, and again whenever the session has moved to another process."""
        name = line.strip()
        if cell is not None and not name.startswith("-"):
            self._sources[name] = cell
            self.shell.run_cell(cell, store_history=False)
        elif name.split()[:1] == ["-d"]:
            kept = name[2:].strip()
            self._sources = {key: text for key, text in self._sources.items() if kept and key != kept}
        elif not name:
            for key, text in self._sources.items():
                print(f"# {key or 'unnamed'}\n{text.rstrip()}")
        else:
            print(_USAGE)

    def _resume(self, _info: Any = None) -> None:
        if not self._due:
            return
        self._due = False
        for source in list(self._sources.values()):
            self.shell.run_cell(source, store_history=False)
