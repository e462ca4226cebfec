"""B. Functions."""

CASES: dict[str, list[str]] = {
    "reads globals set later": [
        "def f(): return g()+K\ndef g(): return 1\nd={'l': lambda: K}",
        "K=10",
        "print(f(), d['l']())\ndef g(): return 2",
        "print(f()); assert f.__globals__ is globals() and d['l'].__globals__ is globals()",
    ],
    "changes globals": ["cnt=0\ndef bump():\n    global cnt; cnt+=1", "bump()", "bump(); print(cnt)"],
    "recursion": [
        "def fact(n): return 1 if n<2 else n*fact(n-1)\ndef even(n): return n==0 or odd(n-1)\ndef odd(n): return n!=0 and even(n-1)\ndef mk():\n    def fib(n): return n if n<2 else fib(n-1)+fib(n-2)\n    def ping(n): return n and pong(n-1)\n    def pong(n): return n and ping(n-1)\n    return fib, ping\nfib, ping = mk()",
        "print(fact(5), even(10), fib(10), ping(3))",
    ],
    "shared cell": [
        "def mk():\n    c=0\n    def inc():\n        nonlocal c; c+=1\n    def get(): return c\n    return inc, get\ninc,get=mk(); inc()",
        "inc(); print(get())",
        "inc(); print(get()); assert inc.__closure__[0] is get.__closure__[0]",
    ],
    "cell in a variable": [
        "def mk():\n    c=[1]\n    return lambda: c\nf=mk(); cell=f.__closure__[0]",
        "cell.cell_contents=[2]; print(f()); assert f.__closure__[0] is cell",
    ],
    "empty cell": [
        "def mk():\n    def f(): return x\n    if 0: x=1\n    return f\nf=mk()",
        "try: f()\nexcept NameError as e: print(e)",
    ],
    "mutable default": [
        "acc=[]\ndef f(x, acc=acc): acc.append(x); return acc",
        "f(1)",
        "f(2); print(acc); assert f.__defaults__[0] is acc",
    ],
    "attributes": [
        "def f(a:int, *, k:'str'='x')->float:\n    'doc'\n    return k\nf.calls=[1]; f.self=f",
        "import inspect; print(f.calls, f.__doc__, f.__annotations__, f.__kwdefaults__, f.__qualname__, f.__module__, inspect.signature(f)); assert f.self is f",
    ],
    "decorated": [
        "import functools\ndef count(fn):\n    n=[0]\n    @functools.wraps(fn)\n    def w(*a):\n        n[0]+=1; return fn(*a), n[0]\n    return w\n@count\ndef f(x): return x+1",
        "f(1)",
        "print(f(1), f.__name__, f.__wrapped__(5))",
    ],
    "singledispatch": [
        "import functools\n@functools.singledispatch\ndef show(x): return 'any'\n@show.register\ndef _(x:int): return 'int'",
        "@show.register(str)\ndef _(x): return 'str'",
        "print(show(1), show('a'), show(1.0))",
    ],
    "partials and methods": [
        "import functools\nclass A:\n    def __init__(s): s.v=[]\n    def add(s,x): s.v.append(x); return s.v\n    half=functools.partialmethod(add, 5)\na=A(); m=a.add; p=functools.partial(a.add, 3)",
        "m(1); p(); a.half()",
        "print(a.v); assert m.__self__ is a and p.func.__self__ is a",
    ],
    "lru_cache": [
        "import functools\ncalls=[]\n@functools.lru_cache(maxsize=7, typed=True)\ndef f(x): calls.append(x); return x*2\n@functools.cache\ndef fib(n): return n if n<2 else fib(n-1)+fib(n-2)",
        "print(f(2), f.cache_parameters(), fib(50))",
        "print(f(2), f(2)==4, fib(30), f.__wrapped__(1))",
    ],
    "cached_property": [
        "import functools\nclass A:\n    n=0\n    @functools.cached_property\n    def v(self): A.n+=1; return A.n\na=A(); a.v",
        "b=A(); print(a.v, b.v, A.n)",
    ],
    "source and traceback": [
        "def f(x):\n    # a comment\n    return 1/x\nclass K:\n    z=1",
        "import inspect; print(inspect.getsource(f)); print(inspect.getsource(K))",
        "f(0)",
    ],
    "async functions": [
        "import asyncio\nasync def f(): await asyncio.sleep(0); return 3\nasync def g():\n    for i in range(3): yield i",
        "print(await f(), [x async for x in g()])",
    ],
    "generator functions": ["def g(n):\n    yield from range(n)\nr=range(5)", "print(list(g(3)), r)"],
    "globals of another dict": [
        "ns={}; exec('v=1\\ndef f(): return v', ns); h=ns['f']",
        "ns['v']=2",
        "print(h(), ns['f'] is h, h.__globals__ is ns)",
    ],
    "library functions": [
        "import numpy as np, math, operator, json\nfs=[math.sin, np.sum, np.add, operator.itemgetter(1), json.dumps, str.upper, [].append, 'x'.join, np.linalg.norm, len]",
        "print(fs[0](0), fs[1]([1,2]), fs[2](1,2), fs[3]('ab'), fs[4]({}), fs[5]('a'), fs[7]('ab'), fs[8]([3,4]), fs[9]('ab')); assert fs[0] is math.sin and fs[2] is np.add and fs[4] is json.dumps",
    ],
    "closure of a library": [
        "import operator, functools, contextlib\n@contextlib.contextmanager\ndef cm():\n    yield 5\nkey=functools.cmp_to_key(lambda a,b: b-a)",
        "with cm() as v: print(v, sorted([1,3,2], key=key))",
    ],
    "function in a class in a function": [
        "def outer(k):\n    class In:\n        def f(self): return k, __class__\n    return In\nC=outer(4); c=C()",
        "assert c.f()==(4,C); print(type(c).__qualname__)",
    ],
    "comprehension and lambda list": [
        "fs=[lambda i=i: i for i in range(3)]; gs=[lambda: i for i in range(3)]",
        "print([f() for f in fs],[g() for g in gs])",
    ],
}
