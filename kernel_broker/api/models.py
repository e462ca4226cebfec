"""The shapes of the REST surface; they make the OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

Json = dict[str, Any]

Id = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"),
    Field(description="1 to 128 letters, digits, '.', '_', ':' or '-', starting with a letter or digit"),
]
EnvName = Annotated[str, StringConstraints(pattern=r"^[^=\x00]+$")]
EnvValue = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Base64 = Annotated[
    str,
    StringConstraints(pattern=r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"),
]
CELL_BYTES = 16 * 2**20


def check_limits(limits: Json) -> Json:
    """The limits, if they can be kept to."""
    state = limits.get("state", 0)
    if type(state) is not int or state < 0:
        raise ValueError("the limit 'state' is a number of bytes, 0 for none")
    return limits


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SessionCreate(_Strict):
    """A new session. An id of one's own that exists already is returned as it is."""

    session_id: Id | None = Field(None, description="chosen by the broker if absent")
    name: Annotated[str, StringConstraints(max_length=1000)] = ""
    runtime: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None, description="the runtime wanted; must be the one this pool serves"
    )
    env: dict[EnvName, EnvValue] = Field(default_factory=dict, description="environment of the cells")
    cwd: Annotated[str, StringConstraints(pattern=r"^/[^\x00]*$", max_length=4096)] | None = Field(
        None, description="working directory (absolute)"
    )
    limits: Annotated[Json, AfterValidator(check_limits)] = Field(
        default_factory=dict, description="`state`: bytes of state it may have; 0: any"
    )
    files: Literal["host", "state"] | None = Field(
        None, description="where its files are: in folders of the host, or saved with its state"
    )
    recompute: bool | None = Field(
        None, description="whether lost variables are made again by running their cells again"
    )
    idle_ttl: Annotated[float, Field(gt=0, le=10 * 365 * 86400, allow_inf_nan=False)] | None = Field(
        None, description="seconds without activity after which the session is forgotten"
    )


class Pin(BaseModel):
    """Something in a session that cannot be carried to another process."""

    name: str
    type: str
    reason: str
    cell: int | None = None


class Origin(BaseModel):
    """Where a session was forked."""

    session_id: str
    revision: int


class SessionView(BaseModel):
    """A session as it stands."""

    session_id: str
    name: str
    owner: str
    state: Literal["running", "warm", "cold"]
    revision: int
    execution_count: int
    runtime: Json
    cwd: str | None
    limits: Json
    files: Literal["host", "state"]
    recompute: bool = Field(description="as it was created; `%recompute` in a cell can say otherwise")
    idle_ttl: float
    created_at: float
    last_activity: float
    size: int
    pinned: list[Pin]
    comms: dict[str, Json]
    background: bool
    forked_from: Origin | None = None
    warm_until: float | None = Field(
        description="Unix time until which its worker stays if unused; longer if something is `pinned`"
    )


class SessionList(BaseModel):
    """Sessions, the most recently active first."""

    sessions: list[SessionView]


RevisionNumber = Annotated[int, Field(ge=0, lt=2**53, description="the number of a kept revision")]


class RevisionView(BaseModel):
    """A kept revision of a session."""

    revision: int
    at: float
    """When it was committed."""
    execution_count: int
    size: int
    """Bytes of its state."""
    alone: int
    """Bytes that are freed when it is trimmed as the oldest."""
    run_id: str | None
    """The run whose commit made it."""
    head: bool


class RevisionList(BaseModel):
    """Kept revisions, oldest first."""

    revisions: list[RevisionView]


class PinnedPart(BaseModel):
    """Something in a variable that lives only in its process."""

    type: str
    reason: str
    cell: int | None


class VariableView(BaseModel):
    """A variable of a session, as it was committed."""

    name: str
    type: str
    preview: str
    """A word on its contents; empty where nothing can be said cheaply."""
    cell: int | None
    """The cell that bound it."""
    size: int
    """Bytes of all that is stored with it; 0 for small values."""
    shares: list[str]
    """Other variables that share objects with it."""
    pinned: list[PinnedPart]
    """What of it cannot be carried, and why; empty if all of it is."""


class VariableList(BaseModel):
    """Variables by name."""

    variables: list[VariableView]


class CheckoutRequest(_Strict):
    """Which revision to go back to."""

    revision: RevisionNumber


class ForkRequest(_Strict):
    """A new session that starts at a revision of this one."""

    revision: RevisionNumber | None = Field(None, description="the last one if absent")
    session_id: Id | None = Field(None, description="of the new session; chosen by the broker if absent")
    name: Annotated[str, StringConstraints(max_length=1000)] | None = Field(
        None, description="as this session's if absent"
    )


class FileView(BaseModel):
    """A file, folder or symbolic link in a session's folder."""

    path: str
    kind: Literal["file", "folder", "link"]
    size: int
    mode: int
    """Permission bits."""
    mtime: float
    target: str | None = None
    """Where a link points."""


class FileList(BaseModel):
    """The files of a session; a folder comes before what is in it."""

    files: list[FileView]


class RuntimeView(BaseModel):
    """What this pool's workers are."""

    python: str
    implementation: str
    magic: str
    machine: str
    image: str
    preload: list[str]
    packages: dict[str, str]
    kernel_info: Json
    broker_version: str


class ExecuteRequest(_Strict):
    """One cell: the content of Jupyter's execute_request, and how to run it."""

    code: Annotated[str, StringConstraints(max_length=CELL_BYTES)]
    silent: bool = False
    store_history: bool = True
    user_expressions: dict[str, str] = Field(default_factory=dict)
    allow_stdin: bool = False
    stop_on_error: bool = True
    run_id: Id | None = Field(None, description="retrying with the same one never runs the cell twice")
    timeout: Annotated[float, Field(gt=0, le=10 * 86400, allow_inf_nan=False)] | None = Field(
        None, description="seconds the cell may run"
    )
    header: Json | None = Field(None, description="Jupyter header of the request to answer")
    metadata: Json = Field(default_factory=dict, description="Jupyter metadata of the request")


class MessageRequest(_Strict):
    """Any other Jupyter request."""

    channel: Literal["shell", "control"] = "shell"
    msg_type: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
    header: Json | None = None
    parent_header: Json = Field(default_factory=dict)
    metadata: Json = Field(default_factory=dict)
    content: Json = Field(default_factory=dict)
    buffers: list[Base64] = Field(default_factory=list, description="binary buffers, base64")


class InputReply(_Strict):
    """The line a cell asked for with `input()`."""

    value: str


class CellFailure(BaseModel):
    """The exception a cell raised."""

    ename: str
    evalue: str
    traceback: list[str]


class ExecuteResult(BaseModel):
    """A run, when it is over. `outputs` are nbformat outputs."""

    run_id: str
    status: Literal["ok", "error", "aborted"]
    execution_count: int
    outputs: list[Json]
    error: CellFailure | None = None
    revision: int
    notices: list[str]
    problem: Json | None = Field(None, description="why the state after the cell could not be saved")
    payload: list[Json]
    user_expressions: Json


class ProblemDocument(BaseModel):
    """An error, as RFC 9457 describes it; `code` is stable."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    retry_after: float | None = None
