"""Which names code can reach: the static look that tells what a cell may have changed.

A code object names every global and attribute it uses; what it calls is found through these names. Code that
gets at variables in other ways (`globals()`, `exec`, frames …) *escapes* the look: it may reach anything.
"""

import re
import types
from collections.abc import Iterable
from dataclasses import dataclass

ESCAPES = frozenset(
    """
    globals locals vars eval exec __import__ import_module run_path run_module __main__ modules __builtins__
    _getframe currentframe f_globals f_locals f_back tb_frame gi_frame cr_frame ag_frame __globals__ builtins
    get_objects get_referrers get_referents __subclasses__ testmod getmembers settrace setprofile
    pickle cloudpickle dill joblib shelve read_pickle
    from_address from_buffer py_object pythonapi user_ns user_global_ns user_module
    """.split()
)
"""Names through which code gets at variables that it does not name."""

_SHELL_ESCAPES = frozenset(
    """
    run_cell run_cell_async run_code run_ast_nodes safe_execfile safe_run_module push ex ev drop_by_id del_var
    reset magic find_user_code showtraceback call_pdb debugger events hooks
    """.split()
)
"""Methods of the shell that run code or change variables."""

_MAGIC_CALLS = frozenset({"run_line_magic", "run_cell_magic"})

MAGICS = frozenset(
    """
    time timeit prun capture matplotlib pylab pip conda mamba uv micromamba cd pwd pushd popd dirs env set_env
    ls ll lf lx ldir mkdir rmdir mv cp rm cat less more man bookmark precision config xmode colors page
    bash sh script system sx html HTML javascript js latex markdown svg SVG writefile file history hist
    who who_ls whos psearch pinfo pinfo2 pdef pdoc psource pfile quickref lsmagic alias unalias rehashx logon
    logoff logstart logstop logstate doctest_mode automagic notebook autoawait revisions checkout recompute
    """.split()
)
"""Magics whose code, if they take any, is in their text, and which touch no other variable."""

_WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Reach:
    """Names that code uses, and whether it escapes."""

    names: frozenset[str] = frozenset()
    anything: bool = False

    def __or__(self, other: "Reach") -> "Reach":
        return Reach(self.names | other.names, self.anything or other.anything)


NOWHERE = Reach()
ANYWHERE = Reach(anything=True)

_known: dict[int, tuple[types.CodeType, Reach]] = {}
_KNOWN_LIMIT = 20_000


def of_code(code: types.CodeType) -> Reach:
    """The reach of a code object and of all code inside it."""
    known = _known.get(id(code))
    if known is not None:
        return known[1]
    found = _look(code)
    if len(_known) >= _KNOWN_LIMIT:
        _known.clear()
    _known[id(code)] = (code, found)  # held, so that the id stays its own
    return found


def _look(code: types.CodeType) -> Reach:
    names: set[str] = set()
    texts: list[str] = []
    _gather(code, names, texts)
    if names & _MAGIC_CALLS:
        return _with_magics(names, texts)
    return Reach(frozenset(names), _escapes(names))


def _escapes(names: set[str]) -> bool:
    return bool(names & ESCAPES) or ("get_ipython" in names and bool(names & _SHELL_ESCAPES))


def _gather(code: types.CodeType, names: set[str], texts: list[str]) -> None:
    names.update(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _gather(constant, names, texts)
        elif isinstance(constant, str):
            texts.append(constant)


def _with_magics(names: set[str], texts: list[str]) -> Reach:
    """Magics may run the code in their text; only known ones do nothing else."""
    strange = not any(text in MAGICS for text in texts)
    words = names | words_of(texts)
    strange = strange or any(_is_strange_magic(text) for text in texts)
    return Reach(frozenset(words), strange or _escapes(words))


def _is_strange_magic(text: str) -> bool:
    from IPython import get_ipython

    shell = get_ipython()
    if text in MAGICS or shell is None:
        return False
    return any(text in table for table in shell.magics_manager.magics.values())


def words_of(texts: Iterable[str]) -> set[str]:
    """All identifiers in some texts."""
    return {word for text in texts for word in _WORD.findall(text)}


def of_source(source: str) -> Reach:
    """The reach of an expression or of statements, as far as they can be read."""
    try:
        code = compile(source, "<expression>", "exec")
    except (SyntaxError, ValueError):
        return Reach(frozenset(words_of([source])))
    return of_code(code)


def mentioned(code: types.CodeType) -> set[str]:
    """All identifiers in code and in its texts: libraries look names up in texts."""
    names: set[str] = set()
    texts: list[str] = []
    _gather(code, names, texts)
    return names | words_of(texts)
