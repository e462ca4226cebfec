# ruff: noqa: E501
"""What generated programs are made of: things to have, and statements to do with them.

A name says what kind of thing it is: `l1` is a list, `n0` a `Node`. `MADE` says how each kind is made (one of
several ways), `PRELUDE` what a word in a program needs to have been defined before it, `STATEMENTS` what may
be done. In a template, `{L}` is a name of that kind and `{X}` any value. A line with a `!` in front is for
what cannot travel: programs that have one are never moved before their end.
"""

NAMES = {
    "L": ("l0", "l1", "l2"), "D": ("d0", "d1"), "N": ("n0", "n1"), "A": ("a0", "a1"), "V": ("v0", "v1"),
    "S": ("s0",), "F": ("f0", "f1"), "M": ("m0", "m1"), "I": ("i0", "i1"), "K": ("K0", "K1"), "O": ("o0", "o1"),
    "C": ("c0", "c1"), "W": ("w0", "w1"), "T": ("t0",), "G": ("g0",), "Q": ("q0",), "X": ("0", "1.5", "'s'", "None", "l0", "l1", "d0", "n0",
    "n1", "a0", "f0", "o0", "c0", "(l1, n0)", "[d0]", "{'k': l0}", "10**20", "b'x'"),
}  # fmt: skip

MADE = {
    "L": ["[]", "[1, 2, 3]", "[{D}, 1]", "[{N}]", "[[0], [0]]", "[[0]] * 2", "[*range(40)]", "list('abc')"],
    "D": ["{{}}", "{{'k': {L}, 'l': {L}}}", "{{'n': {N}}}", "{{1: 'one', (2, 3): [4]}}", "defaultdict(list)",
          "defaultdict(lambda: {L})", "Missing()", "OrderedDict(a=1, k={L})", "dict.fromkeys('abc', {L})"],
    "N": ["Node({X})", "Node({L})", "Sub({L})", "Sub(Node(1))", "Slotted({L})", "Noisy()", "Acts()", "Acts()"],
    "A": ["np.arange(6.)", "np.arange(12).reshape(3, 4)", "np.zeros(3000)", "np.arange(12).reshape(3, 4).T",
          "np.array([None, {L}, 'o'], dtype=object)", "np.zeros(3, dtype='i4,f8')", "np.array(7.)"],
    "V": ["{A}[1:]", "{A}[::-1]", "{A}.T", "{A}.reshape(-1)", "{A}[...]", "{A}.view()", "{A}[:0]"],
    "S": ["pd.DataFrame({{'a': [1, 2, 3], 'b': list('xyz')}})",
          "pd.DataFrame({{'a': np.arange(4.), 'b': [{L}, 0, 0, None]}})",
          "pd.DataFrame({{'a': [1, 2, 2]}}, index=list('pqr'))"],
    "F": ["counter({L})", "holder({L})", "lambda *_: {L}.append(1)", "grow_l0", "grow_deep", "partial(touch, {L})",
          "lambda x=0, to={L}: to.append(x)", "defaults", "wrapped", "(lambda k: lambda *_: k.append(len(k)))({L})",
          "Acts()", "methodcaller('append', 3)", "rebind_l1", "through_dict", "recursive", "by_kind", "compiled"],
    "M": ["{L}.append", "{N}.grow", "{D}.setdefault", "{L}.__setitem__", "Sub({L}).grow", "{D}.update", "{N}.__setattr__"],
    "I": ["iter({L})", "map({F}, [1, 2, 3])", "filter({F}, [1, 2])", "zip({L}, [7, 8, 9])", "enumerate({L})",
          "itertools.chain({L}, {L})", "itertools.accumulate({L}, pair)",
          "map({M}, [[1], [2]])", "iter({F}, 5)"],
    "O": ["({L}, {L})", "({N}, {L}.append)", "types.SimpleNamespace(x={L}, f={F})", "deque([{L}], maxlen=3)",
          "{{'go': lambda *_: {L}.append(2)}}", "Point({L}, 1)", "ChainMap({D}, {D})", "bytearray(b'abc')",
          "Data({L})", "{D}.values()", "{D}.keys()", "types.MappingProxyType({D})", "io.StringIO('text')",
          "memoryview(b'ro')", "frozenset([1, 2])", "Colour.RED", "itemgetter(0)", "copy.copy({N})",
          "copy.deepcopy({L})", "[{F}, {M}]", "Counter('aab')", "property({F})"],
    "W": ["weakref.ref({N})", "weakref.ref({N}, lambda r: {L}.append('gone'))", "weakref.WeakValueDictionary(k={N})",
          "weakref.WeakSet([{N}])", "weakref.proxy({N})", "weakref.WeakMethod({N}.grow)"],
    "C": ["10**6", "2.5", "'abc' * 3", "b'x' * 9", "True", "10**30", "(1, 2)"],
    "T": ["!threaded({L})"],
    "G": ["!generator({L})", "!(x.append(1) for x in [{L}, {L}])"],
    "Q": ["Queue({L})"],
}  # fmt: skip

CLASS = ["class {K}(Node): held = {X}", "class {K}(Sub): pass", "class {K}:\n    kept = {L}\n    def grow(self, x=0): self.kept.append(x)",
         "{K} = type('{K}', (Node,), {{'w': {X}}})", "class {K}(Meta): {L}.append(4)"]  # fmt: skip
MADE["K"] = CLASS

PRELUDE = {
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "partial": "from functools import partial",
    "functools": "import functools",
    "methodcaller": "from operator import methodcaller, itemgetter",
    "itemgetter": "from operator import methodcaller, itemgetter",
    "itertools": "import itertools",
    "types": "import types",
    "io": "import io",
    "copy": "import copy as copy",
    "weakref": "import weakref",
    "random": "import random; random.seed(3)",
    "sys": "import sys",
    "contextlib": "import contextlib",
    "deque": "from collections import *",
    "defaultdict": "from collections import *",
    "OrderedDict": "from collections import *",
    "ChainMap": "from collections import *",
    "Counter": "from collections import *",
    "namedtuple": "from collections import *",
    "Node": """class Node:
    made = 0
    all = []
    def __init__(self, v=None): self.v = v; Node.made += 1; Node.all.append(v)
    def grow(self, x=0): vars(self).setdefault('kids', []).append(x); return self
    @property
    def deep(self): return self.v
    @deep.setter
    def deep(self, x): self.v = [x, self.v]
    @classmethod
    def count(cls): cls.made += 1
    @staticmethod
    def note(x=1): Node.all.append(x)""",
    "Sub": """class Sub(Node):
    def grow(self, x=0): log.append(x); return super().grow(x)
    def __init_subclass__(cls): Sub.all.append(cls.__name__)""",
    "Meta": """class Kind(type):
    known = {}
    def __init__(cls, name, bases, space): Kind.known[name] = cls; super().__init__(name, bases, space)
class Meta(metaclass=Kind): pass""",
    "Slotted": """class Slotted:
    __slots__ = ('l', 'r', '__weakref__')
    def __init__(self, l): self.l = l; self.r = self
    def grow(self, x=0): self.l.append(x)""",
    # Copied as itself: pandas copies what a frame carries, also for one who only looks at it.
    "Noisy": """class Noisy:
    def __del__(self): log.append('end')
    def __deepcopy__(self, memo): return self
    def grow(self, x=0): log.append(x)""",
    "Acts": """class Acts:
    hits = []
    def __call__(self, *a): self.hits.append(len(a)); return 5
    def __add__(self, o): log.append(o); return self
    def __iadd__(self, o): self.hits.append('i'); return self
    def __getitem__(self, k): self.__dict__['k'] = self.__dict__.get('k', 0) + 1; return k
    def __setitem__(self, k, v): log.append(k)
    def __len__(self): self.hits.append('len'); return 2
    def __bool__(self): log.append('bool'); return True
    def __repr__(self): log.append('repr'); return 'Acts'
    def __enter__(self): self.hits.append('in'); return self
    def __exit__(self, *a): log.append('out')
    def __iter__(self): log.append('iter'); return iter(self.hits[:2])
    def __lt__(self, o): log.append('lt'); return True
    def __contains__(self, x): self.hits.append(x); return False
    def __getattr__(self, n):
        if n.startswith('__'): raise AttributeError(n)
        if n.startswith('_'): raise AttributeError(n)
        log.append(n); return 1
    def grow(self, x=0): return self(x)""",
    "Missing": """class Missing(dict):
    def __missing__(self, k): log.append(k); self[k] = []; return self[k]""",
    "Point": "Point = namedtuple('Point', 'x y')",
    "Data": """from dataclasses import dataclass, field
@dataclass
class Data:
    x: object
    y: list = field(default_factory=lambda: [log])""",
    "Colour": """import enum
class Colour(enum.Enum):
    RED = 1; BLUE = 2""",
    "Queue": """class Queue:
    def __init__(self, to): self.to = to; self.run = [self.one, lambda x=1: self.to.append(x)]
    def one(self, x=0): self.to.append(x)
    def fire(self):
        for f in self.run: f()""",
    "Watched": """class Watched:
    def __set_name__(self, owner, name): log.append(name)
    def __get__(self, o, owner=None): log.append('get'); return 1
    def __set__(self, o, v): log.append(v)""",
    "log": "log = []",
    "total": "total = 0",
    "pair": "def pair(a, b): log.append(1); return b",
    "counter": """def counter(to):
    n = [len(log)]; m = 0
    def inc(by=1, seen=[]):
        nonlocal m
        m += 1; n.append(m); seen.append(m); to.append(m); return m
    def get(*_): return (m, n, inc)
    inc.get = get
    return inc""",
    "holder": """def holder(x):
    def read(*_): return x
    return read""",
    "touch": """def touch(x, *_):
    global total
    total = total + 1
    return x""",
    "grow_l0": "def grow_l0(*_): l0.append(1); return 0",
    "grow_deep": "def deeper(*_): return grow_l0()\ndef grow_deep(*_): return deeper()",
    "rebind_l1": "def rebind_l1(*_):\n    global l1\n    l1 = [l1]",
    "through_dict": "table = {'go': lambda: l0.append(9)}\ndef through_dict(*_): table['go']()",
    "recursive": "def recursive(n=2, *_):\n    if type(n) is int and n > 0: l1.append(n); return recursive(n - 1)",
    "defaults": "def defaults(x=0, *_, seen=[], to={}): seen.append(1); to[len(to)] = seen; return x",
    "wrapped": """def noted(f):
    @functools.wraps(f)
    def inner(*a): inner.calls += 1; log.append(f.__name__); return f(*a)
    inner.calls = 0
    return inner
@noted
def wrapped(*a): return len(a)""",
    "noted": "",
    "by_kind": """@functools.singledispatch
def by_kind(x=0, *_): log.append(x)
@by_kind.register
def _int(x: int, *_): l0.append(x)""",
    "compiled": "exec(compile('def compiled(*_): log.append(7)', 'made', 'exec'))",
    "managed": """@contextlib.contextmanager
def managed(x):
    x.append('in')
    try: yield x
    finally: x.append('out'); log.append(1)""",
    "link": "def link(a, b): Node.all.append(a); log.append(b)",
    "keep": "def keep(x): d0['kept'] = x",
    "generator": "def generator(x):\n    while True: x.append(1); yield x",
    "threaded": """import threading
def threaded(x):
    def later(): sys._gate.wait(); x.append('late'); log.append(len(x))
    threading.Thread(target=later).start()""",
    "grow_magic": """from IPython.core.magic import register_line_magic, register_cell_magic
@register_line_magic
def grow_magic(line): l0.append(line)
@register_cell_magic
def grow_cell(line, cell): l1.append(cell)""",
    "hook": "def hook(*_): l0.append('hook')",
    "before": "def before(*_): log.append('before')",
    "show": "def show(o, p, cycle): l1.append('shown'); p.text('Node')",
    "transform": "def transform(lines): l1.append('line'); return lines",
    "failed": "def failed(shell, kind, value, tb, tb_offset=None): log.append(kind.__name__); return []",
}

_EVERY = ["L", "D", "N", "A", "V", "F", "M", "I", "O", "W", "S", "Q", "C"]

STATEMENTS = {
    "aliases": ["{L} = {L}", "{N} = {N}", "{L}, {L} = {L}, {L}", "{L} = {O} = {D}", "{D}['k'] = {X}", "{L}.append({X})",
                "{N}.v = {X}", "{L} = [{X}, {L}]", "link({X}, {L})", "keep({X})", "{O} = ({X}, {L})", "{N}.self = {N}",
                "{L}.append({L})", "{L}[0] = {L}", "{D} = dict({D})", "{L} = {L}[:]", "{L} = list({L})", "{L} = {N}.v",
                "{L} = {D}.get('k')", "{L} = {D}.pop('k')", "{L} = {L}.pop()", "x = {L}[0]; x.append(1)"],
    "atoms": ["{C} += {C}", "for x in range(9): {C} = {C} + {C}", "{C} *= 2", "{C} = {C} * 3; {C} = {C} * 2", "{C} = int('12345')",
              "del {C}; {C} = int('54321')", "for x in range(50): {C} = {C} * 2 if type({C}) is float else {C}", "{L}.append({C})",
              "{C} = str({C})[:40]", "{C} = float('1e5')", "{C} = {X}", "{C}, {C} = {C}, {C}", "{C} = [{C}]", "{C} -= {C}",
              "for {C} in range(300, 900, 7): pass", "{C} = {C} // 7", "{C} = bool({C})", "{N}.v = {C}"],
    "lists": ["{L} += {L}", "{L} += [1]", "{L} *= 2", "{L}.clear()", "{L}[1:] = [8, 9]", "del {L}[0]", "{L}.insert(0, 'new')",
              "{L}.sort(key={F})", "{L}.reverse()", "{L}[0].append(3)", "{L}.extend(x for x in [1, 2])", "[*{L}, *_] = [5, 6, 7]",
              "for x in {L}: pass", "{L}[0], y = 3, 4", "(z := {L}).append(5)", "[{L}.append(i) for i in range(2)]"],
    "dicts": ["{D}['n'] = {X}", "del {D}['k']; {D}['k'] = 1", "{D}.setdefault('s', []).append({X})", "{D} |= {{'m': {L}}}",
              "{D}['miss'].append(1)", "{D}.clear()", "{D}.popitem()", "for k in list({D}): {D}[k] = 0", "{D}.update(a={L})",
              "{D}['k'].append(1)", "globals_ = {D}; globals_['g'] = 1", "for {D}['loop'] in (1, 2): pass"],
    "objects": ["{N}.grow({X})", "{N}.deep = {X}", "{N}.deep.append(1)", "{N}.count()", "{N}.note()", "del {N}.v", "{N}()",
                "{N} + {X}", "{N} += {X}", "{N}[{X}]", "{N}[1] = 2", "len({N})", "{N}", "repr({N})", "f'{{{N}}}'",
                "if {N}: pass", "with {N}: pass", "for x in {N}: pass", "sorted([{N}, {N}])", "5 in {N}", "{N}.unknown",
                "setattr({N}, 'x' + 'y', {X})", "getattr({N}, 'gr' + 'ow')(1)", "{N}.__dict__['raw'] = {X}",
                "{N}.__class__ = Sub", "type({N}).made = 7", "{N}.__init__({L})", "{N}.grow(1).grow(2)", "{N}.l = {X}",
                "{N}.bound = {N}.grow", "{N}.bound(1)", "{N}.go = {F}", "{N}.go()", "print({N})", "{N}.v.append(1)",
                "match {N}:\n    case Node(v=[*y]): y.append(1); log.append(y)", "bool({N}); not {N}", "print(*{N})"],
    "classes": [*CLASS, "Node.made += 1", "Node.extra = lambda s: {L}.append(2)", "{N}.extra()", "Node.grow = {F}",
                "Node.all.append({X})", "Node.kept = {L}", "class C: {L}.append(1)", "class C:\n    x = Watched()\nC().x = {X}",
                "class C(Sub): pass", "{K}()", "{K}.w = {X}", "{K}().grow()", "{N} = {K}()", "del Node.all[:]",
                "Sub.grow(Sub({L}), 3)", "Colour.RED.note = {L}", "{O} = Colour(2)", "Kind = type(Meta); Kind.known['x'] = {L}",
                "Node.__eq__ = lambda s, o: {L}.append('eq')", "{N} == {N}", "{O} = Data({X}); {O}.y.append(1)"],
    "functions": ["{F}()", "{F}(1)", "{F}(0, 1)", "{F}(l1)", "{F}.get()", "{F}.note = {X}", "{F} = {F}", "{L} = sorted({L}, key={F})",
                  "functools.reduce(pair, {L})", "list(map({F}, [1, 2]))", "[*filter({F}, [1, 2])]", "max([1, 2], key={F})",
                  "{F}.__defaults__[-1].append(5)", "{F}.__defaults__ = (False, 0.0)", "{F}.__defaults__ = (0, 0)", "{F}.__defaults__ = ({X}, {X})",
                  "def {F}(x=0, y: Node = 1.0): return x, y", "{F}.__annotations__['x'] = {X}", "{F}.__annotations__['x'].append(1)", "{F}.__closure__[0].cell_contents.append(4)", "{F}.__kwdefaults__['seen'].append(3)",
                  "{F}.__closure__[0].cell_contents = {X}", "{F} = noted({F})", "{F}.func(1)", "{F}.args[0].append(2)",
                  "def {F}(*_): return {L}.append(3)", "def {F}(x=0, *_, k={X}): return k", "touch({X})", "{F} = lambda *_: {F}",
                  "{D}['go'] = {F}; {D}['go']()", "{L}.append({F}); {L}[-1](1)", "{O}['go'](1)", "{O}.f(1)", "{F}.__code__ = holder(1).__code__",
                  "{M}(1)", "{M}(0, 7)", "{M}({X})", "{M}.__self__.append(1)", "{M}('k')", "{Q}.fire()", "{Q}.run[1]()", "{Q}.one(3)",
                  "{M} = {M}", "(lambda: {L}.append(2))()", "@{F}\ndef decorated(): pass", "total += 1", "log.append({X})",
                  "with managed({L}) as y: y.append(1)", "{F}(*{L})", "{L} = {F}()", "deeper = {F}"],
    "iterators": ["next({I})", "next({I}); next({I})", "{L} = list(itertools.islice({I}, 4))", "for x in {I}: break", "{I} = iter({I})",
                  "next({I}).append(1)", "{L}.append({I})", "{O} = [{I}, {I}]", "sum(1 for _ in zip({I}, range(2)))"],
    "others": ["{O}[0].append(1)", "{O}.x.append(2)", "{O}.x = {X}", "{O}[1](3)", "{O}.append({X})", "{O}['new'] = {X}", "{O}.update(a=3)",
               "{O}.rotate(1)", "{O}.maps[0]['m'] = {L}", "{O}.write('more')", "{O}.read(2)", "{O}[0] = 65", "{O} = {O}", "{O}.y.append(2)",
               "{O} = copy.copy({O})", "{O} = copy.deepcopy({L})", "{O}[0](1)", "{O}.mapping", "for x in {O}: x.append(1)"],
    "weak": ["{W}().grow(2)", "{W}['k'].grow(3)", "{W}['n'] = {N}", "del {N}", "{N} = None", "{W} = {W}", "{W}.add({N})", "{W}()(1)",
             "{N} = {W}()", "{L} = [{W}]", "del {N}; {N} = Node(3)", "{W}.v = {L}", "{W} = weakref.ref({N}, {F})"],
    "arrays": ["{A}[0] = 7", "{A} += 1", "{A}[...] = 2", "{V}[0] = 5", "{V} *= 2", "{A} = {A} * 2", "{A} = {V}", "{V} = {A}[2:]", "{A}.sort()",
               "{A}.flags.writeable = False", "{A}.shape = -1", "np.add({A}, 1, out={A})", "np.copyto({A}, 3)",
               "{A}[1].append(9)", "{A}[0] = {L}", "{D}['view'] = {A}[:2]", "{N}.data = {A}", "{V}.base[0] = 8", "{A}['f0'] = 4", "{A}.itemset",
               "{A}.fill(4)", "{L}.append({V})", "np.negative({V}, {V})", "{A}[{A} > 1] = 0", "np.random.shuffle({A})", "{A}.real[1] = 6",
               "memoryview({A})[0] = 1.", "{A}[:] = {A}[::-1]", "np.put({A}, 0, 9)", "{A}.ravel()[1] = 4",
               "{A} = np.frompyfunc({F}, 1, 1)([1, 2])", "np.vectorize({F})([1, 2])", "np.apply_along_axis({F}, 0, {A})"],
    "frames": ["{S}.loc[1, 'a'] = 9", "{S}['c'] = 1", "{S}['a'] += 1", "{S}.iat[0, 0] = 5", "{S}.drop(columns='b', inplace=True)",
               "{S}.columns = [*'pqrstuv'][:{S}.shape[1]]", "{S}.attrs['k'] = {L}", "{S}.index.name = 'i'", "{S} = {S}[{S}['a'] > 1]",
               "{S}['a'].apply({F})", "{S}.apply({F})", "{S}.pipe({F})", "{S} = {S}.copy()", "{O} = {S}['a']", "{S}['b'].iloc[0].append(4)",
               "{S}.insert(0, 'z', {L}[0])", "{S}.sort_values('a', ascending=False, inplace=True)", "{S}.groupby('a').apply({F})", "{L}.append({S})",
               "{S}.extra = {L}", "{S}['a'].map({F})", "del {S}['a']", "{D}['s'] = {S}", "{S}.at['q', 'a'] = 3", "{S}.query('a > 1')"],
    "deletes": [*(f"del {{{kind}}}" for kind in _EVERY), "del log", "log = {L}", "del {N}, {L}", "{L} = 0", "{D} = None", "{N} = {X}", "{F} = 3", "x = Noisy()", "x = Noisy()", "del x", "x = [Noisy()]", "x.clear()", "x = None",
                "%xdel {L}"],
    "failures": ["{L}.append(1); 1/0; {L}.clear()", "try: {L}.append(1); 1/0\nexcept ZeroDivisionError as e: {L}.append(2)\nfinally: {N}.grow()",
                 "assert not {L}.append(3), 'no'; raise ValueError({L})", "missing_name", "{L}.append(missing_name)",
                 "try: raise KeyError({L})\nexcept KeyError as error: {O} = error", "{O}.args[0].append(3)",
                 "def bad():\n    {L}.append(1); raise RuntimeError\nbad()", "{F}(missing=1)"],
    "hidden": ["globals().get('l0').append(5)", "globals()['l1'] = {X}", "exec('l0 = [l1]')", "eval('l0.append(2)')", "exec('log' + '.append(1)')",
               "vars()['l0'].append(3)", "locals()['l1'].append(3)", "get_ipython().user_ns['l0'].append(1)", "get_ipython().push({{'l1': {X}}})",
               "get_ipython().run_cell('l0.append(6)')", "import __main__; __main__.l0.append(1)", "from __main__ import l0 as l1; l1.append(2)",
               "sys.modules['__main__'].l0.append(4)", "sys._getframe().f_globals['l1'].append(1)", "touch.__globals__['l0'].append(8)",
               "Node.grow.__globals__['l1'].append(8)", "get_ipython().ev('l0.append(3)')", "get_ipython().user_global_ns['l1'] = {X}",
               "types.FunctionType(compile('l0.append(4)', 'x', 'exec'), globals())()", "__builtins__.eval('l1.append(1)')",
               "import builtins; builtins.exec('l1.append(6)', globals())", "import timeit; timeit.timeit('l0.append(1)', globals=globals(), number=2);",
               "__import__('__main__').l1.append(1)", "import importlib; importlib.import_module('__main__').l0.append(2)",
               "for f in [exec]: f('l0.append(1)')", "{L} = [eval, exec]", "{L}[0]('l1.append(3)')", "{D}['x'] = exec", "{D}['x']('l0.append(2)')",
               "list(map(eval, ['l0.append(4)']))", "import builtins as bb; getattr(bb, 'ev' + 'al')('l0.append(5)')", "{F} = eval", "{F}('l1.append(8)')",
               "import gc; [x.append(1) for x in gc.get_referents({L}) if type(x) is list]", "import inspect; inspect.currentframe().f_globals['l0'].append(1)",
               "import operator; operator.attrgetter('append')({L})(3)", "import code; code.InteractiveInterpreter(globals()).runsource('l0.append(2)')"],
    "shell": ["{L}", "{N}", "_.append(3)", "_", "__.append(2)", "Out[max(Out)].append(4)", "{L} = _", "_1.append(9)", "Out.clear()", "{L} = Out",
              "%time {L}.append(1)", "%timeit -n1 -r1 -q {L}.append(2)", "{M}(1);", "%grow_magic 3", "get_ipython().run_line_magic('grow_magic', '4')",

              "pass", "pass", "1",
              "1/0",
              "import random; {L}.append(random.random())", "random.shuffle({L})", "random.seed(1)",

              "from math import *", "from math import floor as {F}", "import weakref as {O}", "%alias_magic -l gm grow_magic", "%gm 3", "{L} = %time [1]",
              "sys.later = {L}", "sys.later.append(1)", "import sys; sys.displayhook(l0)"],
    "lasting": ["get_ipython().events.register('post_run_cell', hook)", "get_ipython().events.register('pre_run_cell', before)",
                "get_ipython().events.unregister('post_run_cell', hook)", "pass", "1", "{N}", "1/0", "{L}.append(1)", "json.extra()", "extra()",
                "get_ipython().display_formatter.formatters['text/plain'].for_type(Node, show)", "{S}.more()", "touch(1)",
                "get_ipython().input_transformers_post.append(transform)", "get_ipython().set_custom_exc((ZeroDivisionError,), failed)",
                "import builtins; builtins.extra = lambda: l0.append(1)", "import json; json.extra = lambda: l1.append(1)",
                "import pandas as pd; pd.DataFrame.more = lambda s: l0.append('m')"],
    "cells": ["%%time\n{L}.append(1)\n{N}.grow()", "%%capture\n{L}.append(1); print({N})", "%%capture {O}\nprint(1); {D}['c'] = {L}", "%%grow_cell\ntext",
              "%%timeit -n1 -r1\n{L}.append(2)"],
    "live": ["!{G} = generator({L})", "!next({G})", "!next({G})", "!next({G}).append(3)", "!{T} = threaded({L})", "!threaded({L})", "pass", "{L}.append({L})",
             "!for x in {G}: break", "!import sys; sys.setprofile(lambda f, e, a: l0.append(1) if f.f_code.co_name == 'touch' else None)", "!touch(1)",
             "!import sys; sys.setprofile(None)", "!import asyncio; task = {G}"],
}  # fmt: skip

WEIGHTS = {"aliases": 14, "atoms": 6, "lists": 8, "dicts": 7, "objects": 14, "classes": 9, "functions": 14, "iterators": 8, "others": 7, "weak": 6,
           "arrays": 10, "frames": 5, "deletes": 6, "failures": 4, "hidden": 5, "shell": 8, "cells": 2, "live": 4, "lasting": 4}  # fmt: skip
