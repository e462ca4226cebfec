"""Makes lost variables again before the first cell that names them, if their story can be told once more."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from kernel_broker.worker.state.chunks import Sink
from kernel_broker.worker.state.definitions import Definitions
from kernel_broker.worker.state.delta import Delta
from kernel_broker.worker.state.graph import GraphWriter, Root
from kernel_broker.worker.state.reach import Reach
from kernel_broker.worker.state.recompute import replay
from kernel_broker.worker.state.recompute.book import Story
from kernel_broker.worker.state.recompute.inputs import Fingerprints, changed, reach, shown
from kernel_broker.worker.state.recompute.recorder import Happening, Recorder, Tombs
from kernel_broker.worker.state.recompute.rehearsal import Play, Stage, check, rehearse
from kernel_broker.worker.state.recompute.replay import Refused
from kernel_broker.worker.state.recompute.switch import Recomputing
from kernel_broker.worker.state.table import Table
from kernel_broker.worker.state.tombstone import Tombstone, explain, pin_of
from kernel_broker.worker.state.watch import Watch

_NAMED = 8
"""Cells that a notice names at most."""


class Engine(Protocol):
    """What is asked of the state engine."""

    watch: Watch

    @property
    def settled(self) -> Table | None:
        """What is committed; None if there is more than that."""

    def require(self, words: Iterable[str] | None = None) -> None:
        """Load variables."""

    def capture(self, sink: Sink, everything: bool = False) -> Delta:
        """Take the state."""

    def acknowledge(self) -> None:
        """The next capture is compared with the last one."""

    def take_back(self, name: str, value: Any, cell: int | None) -> None:
        """Know an object as what a variable stood for, made by a cell."""


class Maker:
    """The policy of one shell."""

    def __init__(
        self, shell: Any, engine: Engine, switch: Recomputing, writer: GraphWriter, definitions: Definitions
    ) -> None:
        self._shell = shell
        self._engine = engine
        self._switch = switch
        self._writer = writer
        self._definitions = definitions
        self._recorder = Recorder(shell, switch)
        self._notices: list[str] = []
        switch.on_begin, switch.on_end = self._before, self._recorder.cell_ends

    def record(self, before: Table, after: Table, unasked: list[str], alone: bool) -> None:
        """Write down what has happened since the last commit. Never raises: what fails is forgotten."""
        if not self._switch.is_on:
            return
        settled = self._engine.settled is not None
        watch, cell = self._engine.watch, self._shell.execution_count - 1 or None
        try:
            self._recorder.record(
                Happening(before, after, cell, watch.ran, watch.reach(), alone, settled, unasked)
            )
        except Exception:
            self._switch.book.clear()

    def take_notices(self) -> list[str]:
        """What the user is to be told."""
        notices, self._notices = self._notices, []
        return notices

    def _before(self, source: str) -> None:
        """A cell is about to run."""
        table = self._engine.settled
        if table is None:
            return
        try:
            self._recorder.cell_begins(source, table)
        except Exception:  # such as a transformer of the user's that fails; IPython says so itself
            return
        tombs = self._recorder.tombs()
        wanted = self._wanted(table, tombs) if tombs else ()
        stories = {id(story): story for tomb in wanted if (story := self._story_of(tomb)) is not None}
        for tomb in wanted:
            if self._story_of(tomb) is None and pin_of(tomb).cell is not None:
                explain(tomb, "its cells were not written down")
        for story in stories.values():
            lost = tuple((name, tomb) for name, tomb in tombs if self._story_of(tomb) is story)
            why = self._try(story, table, lost)
            for _, tomb in lost:
                explain(tomb, why)

    def _story_of(self, tomb: Tombstone) -> Story | None:
        pin = pin_of(tomb)
        return self._switch.book.graves.get((pin.name, pin.cell))

    def _wanted(self, table: Table, tombs: Tombs) -> tuple[Tombstone, ...]:
        """Lost variables that the cell may use."""
        text = self._recorder.text
        if text is None:
            return ()
        names = text.names if "get_ipython" in text.names else text.mentions
        labels = reach(table, names)
        return tuple(tomb for name, tomb in tombs if labels is None or name in names or "v:" + name in labels)

    def _try(self, story: Story, table: Table, lost: Tombs) -> str:
        """Make variables again; why that cannot be, if it cannot."""
        if story.obstacle or story.refusal:
            return story.obstacle or story.refusal
        try:
            play = self._prepared(story, table, lost)
        except Refused as refusal:
            return str(refusal)
        try:
            self._make(story, play)
        except KeyboardInterrupt:
            return "it was interrupted"
        except Refused as refusal:
            story.refusal = str(refusal)
        except Exception as error:
            story.refusal = f"its cells cannot be run again ({type(error).__name__}: {error})"
        return story.refusal

    def _make(self, story: Story, play: Play) -> None:
        words = {label.partition(":")[2] for step in story.ordered for label in step.inputs}
        self._engine.require(words)
        rehearse(play, self._stage())
        try:
            with replay.silenced(self._shell):
                made = replay.run(self._shell.user_ns, play.cells, play.users)
        except Exception as error:
            raise Refused(f"running its cells again raised {type(error).__name__}: {error}") from error
        check(play, made)
        self._put_in_place(story, play.lost, made)

    def _prepared(self, story: Story, table: Table, lost: Tombs) -> Play:
        """What is to be run, if its inputs are what they were. Raises `Refused`."""
        told = [label for step in story.ordered for label in (*step.inputs, *map("v:".__add__, step.left))]
        now = Fingerprints(table, self._recorder.packed(table, told))
        watch = self._engine.watch
        fresh = reach(table, watch.seen.names) if watch.ran else set()
        if fresh is None or watch.seen.anything:
            raise Refused("what ran since the last cell may have changed its inputs")
        cells = []
        same: set[str] = set()
        theirs: set[str] = set()
        for step in story.ordered:
            other = changed(step.inputs, now)
            other += [label for label, then in step.inputs.items() if then and label in fresh]
            if other:
                raise Refused(f"its inputs have changed since cell [{step.cell}]: {shown(other)}")
            present = {name for name, then in step.left.items() if then and now.of_variable(name) == then}
            same = (same - step.left.keys()) | present
            kept = {name for name in step.left if table.cells.get("v:" + name) == step.cell}
            theirs = (theirs - step.left.keys()) | kept
            cells.append(replay.prepare(self._shell, step, present, kept))
        users = frozenset(label[2:] for label in table.ids if label.startswith("v:"))
        return Play(cells, lost, users, frozenset(theirs), frozenset(same), self._switch.seconds)

    def _stage(self) -> Stage:
        engine = self._engine

        def capture() -> Delta:
            self._switch.muted = True
            delta = engine.capture(lambda _name, _data: None, everything=True)
            engine.acknowledge()
            return delta

        def table() -> Table:
            return engine.settled or Table()

        def print_of(name: str, value: Any) -> Any:
            with self._definitions.held(), self._writer.series():
                dumped = self._writer.dump([Root("v:" + name, name, value)])
            buffers = [bytes(it.raw()) for it in dumped.buffers]
            return bytes(dumped.stream), [*map(bytes, dumped.blobs)], buffers

        return Stage(self._shell, table, capture, print_of)

    def _put_in_place(self, story: Story, lost: Tombs, values: Mapping[str, Any]) -> None:
        for name, tomb in lost:
            replay.replace(tomb, values[name])
            self._shell.user_ns[name] = values[name]
            self._engine.take_back(name, values[name], pin_of(tomb).cell)
            self._recorder.again[name] = story
            self._switch.book.living[id(values[name])] = story
        self._engine.watch.note(Reach(frozenset(name for name, _ in lost)))
        cells = [f"[{step.cell}]" for step in story.ordered]
        if len(cells) > _NAMED:
            cells[_NAMED - 2 : -1] = ["…"]
        told = f"cell {cells[0]}" if len(cells) == 1 else f"cells {', '.join(cells)}"
        self._notices += [
            f"Serverless Python: '{name}' was made again by re-running {told}." for name, _ in lost
        ]
