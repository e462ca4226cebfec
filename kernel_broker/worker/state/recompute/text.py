"""What the text of a cell says: which names it reads before it binds them, and what it defines."""

import ast
import dis
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kernel_broker.worker.state.reach import of_code

_AWAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith)
_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LOADS = frozenset({"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"})
_CHANGES = frozenset({"DELETE_NAME", "DELETE_GLOBAL", "STORE_GLOBAL"})
_AWAITING = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


@dataclass(frozen=True)
class Text:
    """A cell, read."""

    tree: ast.Module
    reads: frozenset[str]
    """Names whose value from before the cell it may use."""
    mentions: frozenset[str]
    """Names that it loads anywhere."""
    names: frozenset[str]
    """All that the static look sees in its code."""
    defines: frozenset[str]
    """Functions and classes that it makes at its top level."""
    obstacle: str
    """Why it cannot be run again by itself."""


def read(source: str, flags: int = 0) -> Text | None:
    """Read a cell; None if it is no Python."""
    try:
        tree = compile(source, "<cell>", "exec", flags | ast.PyCF_ONLY_AST | _AWAITING, dont_inherit=True)
        code = compile(tree, "<cell>", "exec", flags | _AWAITING, dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    reach = of_code(code)
    obstacle = ""
    if "get_ipython" in reach.names:
        obstacle = "uses magics or the shell"
    elif reach.anything:
        obstacle = "may reach more than its text tells"
    elif any(isinstance(node, _AWAITS) for node in _outside_of_functions(tree)):
        obstacle = "awaits"
    defines = frozenset(it.name for it in tree.body if isinstance(it, _DEFINES))
    reads = _reads(tree.body, set())
    return Text(tree, frozenset(reads), frozenset(_used(code, _LOADS)), reach.names, defines, obstacle)


def _used(code: types.CodeType, operations: frozenset[str]) -> set[str]:
    """Names of the namespace that code uses so, that of functions inside too."""
    found = {it.argval for it in dis.get_instructions(code) if it.opname in operations}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _used(constant, operations)
    return found


def _outside_of_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (*_DEFINES, ast.Lambda)):
            yield from _outside_of_functions(child)


def _reads(body: Iterable[ast.stmt], bound: set[str]) -> set[str]:
    """Names that may be read before they are bound; `bound` grows by those that surely are, at the end."""
    found: set[str] = set()
    for statement in body:
        if isinstance(statement, ast.With):
            inside = set(bound)
            for item in statement.items:
                found |= _free(item.context_expr) - inside
                inside |= _stores(item.optional_vars)
            found |= _reads(statement.body, inside)
        elif isinstance(statement, ast.For):
            found |= _free(statement.iter) - bound
            found |= _reads(statement.body, bound | _stores(statement.target))
            found |= _reads(statement.orelse, set(bound))
        elif isinstance(statement, ast.If | ast.While):
            found |= _free(statement.test) - bound
            for branch in (statement.body, statement.orelse):
                found |= _reads(branch, set(bound))
        else:
            found |= _free(statement) - bound
            bound |= _binds(statement)
            if isinstance(statement, ast.Delete):
                bound -= {it.id for it in ast.walk(statement) if isinstance(it, ast.Name)}
    return found


def _free(node: ast.stmt | ast.expr) -> set[str]:
    """Names that it loads or takes away; those of functions inside too, whenever these run."""
    if isinstance(node, ast.expr):
        code = compile(ast.Expression(node), "<cell>", "eval", _AWAITING)
    else:
        code = compile(ast.Module([_looped(node)], []), "<cell>", "exec", _AWAITING)
    return _used(code, _LOADS | _CHANGES)


def _looped(statement: ast.stmt) -> ast.stmt:
    """A statement as it may stand by itself: a loop may be left, or gone on with, in its own body only."""
    if isinstance(statement, ast.ImportFrom):  # of the future only at the start
        return statement
    return ast.fix_missing_locations(ast.While(ast.Constant(True), [statement], [], lineno=1, col_offset=0))


def _binds(statement: ast.stmt) -> set[str]:
    """Names that a statement surely binds, if it ends without an error."""
    if isinstance(statement, ast.Assign):
        return set().union(*map(_stores, statement.targets))
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return _stores(statement.target)
    if isinstance(statement, _DEFINES):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        names = (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
        return {name for name in names if name != "*"}
    return set()


def _stores(target: ast.expr | None) -> set[str]:
    if target is None:
        return set()
    return {it.id for it in ast.walk(target) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store)}


def without(tree: ast.Module, names: Iterable[str]) -> ast.Module:
    """The cell less some of its definitions, which are there already."""
    left = set(names)
    body = [it for it in tree.body if not (isinstance(it, _DEFINES) and it.name in left)]
    return ast.Module(body, tree.type_ignores)
