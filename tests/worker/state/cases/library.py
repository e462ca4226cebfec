"""F. Objects of the standard library."""

CASES: dict[str, list[str]] = {
    "collections": [
        "from collections import *; c=Counter('aab'); d=deque([1,2],maxlen=2); o=OrderedDict(b=1,a=2); cm=ChainMap({'x':1},{'y':2}); dd=defaultdict(lambda: [0]); dd['k'].append(1); us=UserDict(a=1)",
        "d.append(3); o.move_to_end('b'); print(c, d, o, cm['y'], dd['n'], dict(dd), us['a'])",
    ],
    "iterators": [
        "import itertools; it=iter([1,2,3]); next(it); cn=itertools.count(5); next(cn); z=zip('ab',[1,2]); e=enumerate('xy'); next(e); m=map(str,[1,2]); next(m); cy=itertools.cycle('ab'); next(cy); di=iter({'a':1,'b':2}); next(di); ch=itertools.chain([1],[2]); next(ch)",
        "print(list(it), next(cn), list(z), list(e), list(m), next(cy), list(di), list(ch))",
    ],
    "values": [
        "import datetime as dt, decimal, uuid, pathlib, fractions, zoneinfo, ipaddress; v=[dt.datetime(2020,1,1,tzinfo=zoneinfo.ZoneInfo('Europe/Paris')), dt.timedelta(1), decimal.Decimal('1.1'), uuid.UUID(int=5), pathlib.Path('a/b'), fractions.Fraction(1,3), dt.timezone.utc, ipaddress.ip_address('1.2.3.4'), 1+2j, range(3), slice(1,2)]",
        "print(v)",
    ],
    "re": [
        "import re; p=re.compile(r'(\\d)(x)?', re.I); m=p.search('a1b2'); ms=list(p.finditer('1 2x 3')); fm=re.fullmatch('a+','aaa')",
        "print(m.group(1), m.span(), [k.groups() for k in ms], ms[2].start(), fm, m.re is p)",
    ],
    "streams": [
        "import io; s=io.StringIO('hello'); s.read(2); b=io.BytesIO(b'abc'); b.seek(1)",
        "print(s.read(), b.read())",
    ],
    "dictionary views": [
        "d={'a':1}; k=d.keys(); v=d.values(); i=d.items()",
        "d['b']=2",
        "print(list(k), list(v), list(i))",
    ],
    "mapping proxy": [
        "import types; d={'a':1}; p=types.MappingProxyType(d)\nclass A: x=1\nq=vars(A)",
        "d['b']=2; A.y=5",
        "print(p, q['y'])",
    ],
    "memory view": [
        "b=bytearray(b'hello'); m=memoryview(b); s=m[1:3]; import numpy as np; a=np.arange(4); n=memoryview(a); ro=memoryview(b'xyz')[1:]",
        "s[0]=88; n[1]=9",
        "print(b, bytes(m), a, bytes(ro)); assert s.obj is b",
    ],
    "weak references": [
        "import weakref\nclass A: pass\na=A(); r=weakref.ref(a); x=A(); dead=weakref.ref(x); del x; w=weakref.WeakValueDictionary(a=a); ws=weakref.WeakSet([a]); wk=weakref.WeakKeyDictionary({a:1}); pr=weakref.proxy(a); a.v=5",
        "assert r() is a and dead() is None and w['a'] is a and a in ws and wk[a]==1 and pr.v==5; A.m=lambda s: 1; wm=weakref.WeakMethod(a.m)",
        "assert wm()()==1\ndel a; import gc; _=gc.collect(); print(r(), dict(w), len(ws))",
    ],
    "finalizer": [
        "import weakref\nclass A: pass\na=A(); out=[]; f=weakref.finalize(a, out.append, 1)",
        "print(f.alive); del a",
        "print(out, f.alive)",
    ],
    "locks": [
        "import threading, queue; l=threading.Lock(); rl=threading.RLock(); e=threading.Event(); e.set(); c=threading.Condition(); s=threading.Semaphore(3); q=queue.Queue(5); q.put(1); pq=queue.PriorityQueue(); pq.put(2)\nclass O:\n    def __init__(s): s.l=threading.RLock(); s.v=1\no=O()",
        "with l, rl, c, o.l: print(e.is_set(), q.get(), pq.get(), s.acquire(), o.v, q.maxsize)",
        "print(q.empty())",
    ],
    "asyncio objects": [
        "import asyncio; q=asyncio.Queue(); await q.put(1); l=asyncio.Lock(); ev=asyncio.Event()\nasync def w(): return 5\nt=asyncio.ensure_future(w()); await t",
        "async with l: print(await q.get(), t.done(), t.result())\nloop=asyncio.get_running_loop()",
        "assert loop is asyncio.get_running_loop()\ncoro=w(); print(await coro)",
        "print(type(coro).__name__)",
    ],
    "made modules": [
        "import types, sys; m=types.ModuleType('mymod'); m.x=[1]; exec('def f(): return x', m.__dict__); sys.modules['regmod']=r=types.ModuleType('regmod'); r.y=2; alias=m.x",
        "alias.append(2); import regmod; print(m.f(), regmod.y); assert regmod is r and m.f.__globals__ is m.__dict__",
    ],
    "a module of the folder": [
        "%%writefile mymod_a.py\nstate=[0]\nclass K:\n    n=0\ndef f(): state[0]+=1; return state",
        "import mymod_a; k=mymod_a.K(); mymod_a.f()",
        "print(type(k) is mymod_a.K, mymod_a.__name__)",
        "import sys; sys.path.insert(0,''); print(isinstance(k, mymod_a.K))",
    ],
    "finished things": [
        "import threading, subprocess, concurrent.futures as cf, sqlite3, socket; t=threading.Thread(target=int); t.start(); t.join(); p=subprocess.run(['true']); po=subprocess.Popen(['true']); po.wait()\nwith cf.ThreadPoolExecutor(2) as ex: fu=ex.submit(lambda: 41)\ng=(i for i in []); list(g); con=sqlite3.connect(':memory:'); con.close(); so=socket.socket(); so.close()",
        "print(t.is_alive(), p.returncode, po.returncode, fu.result(), list(g), so.fileno())\ntry: ex.submit(int)\nexcept RuntimeError as e: print(e)\ntry: con.execute('x')\nexcept sqlite3.ProgrammingError as e: print(e)",
    ],
    "unstarted thread": [
        "import threading; out=[]; t=threading.Thread(target=out.append, args=(1,), name='w')",
        "t.start(); t.join()",
        "print(out, t.name)",
    ],
    "open files": [
        "f=open('t.txt','w+'); f.write('hello world'); f.flush(); f.seek(3); r=open('t.txt'); r.read(2); b=open('t.txt','rb'); b.seek(6); a=open('u.log','a'); a.write('one\\n'); c=open('t.txt'); c.close()",
        "print(f.read(2), r.read(3), b.read(), c.closed, f.name, r.mode, f.mode); a.write('two\\n')",
        "a.close(); print(open('u.log').read())",
    ],
    "buffered writes reach the file": [
        "f=open('w.txt','w'); f.write('abc')",
        "f.write('def')",
        "f.close(); print(open('w.txt').read())",
    ],
    "templates and misc": [
        "import string, argparse, types, textwrap, copy, array; t=string.Template('$a'); ns=types.SimpleNamespace(a=1); ap=argparse.ArgumentParser(prog='p'); ap.add_argument('--x', type=int, default=3); ar=array.array('i',[1,2])",
        "print(t.substitute(a=2), ns, ap.parse_args(['--x','5']), ar)",
    ],
    "element tree": [
        "import xml.etree.ElementTree as ET; e=ET.fromstring('<a><b x=\"1\"/></a>'); b=e[0]",
        "b.set('x','2'); print(ET.tostring(e)); assert e[0] is b",
    ],
    "contextlib": [
        "import contextlib; st=contextlib.ExitStack(); out=[]; st.callback(out.append, 5); rd=contextlib.suppress(KeyError)",
        "st.close(); print(out)\nwith rd: {}['x']",
    ],
    "logging objects": [
        "import logging, io; buf=io.StringIO(); lg=logging.getLogger('mine'); h=logging.StreamHandler(buf); lg.addHandler(h); lg.propagate=False; lg.warning('a')",
        "lg.warning('b'); print(buf.getvalue()); assert lg.handlers==[h] and h.stream is buf",
    ],
    "builtin types": [
        "import types; ts=[int, type(None), type(...), types.FunctionType, types.GeneratorType, type(len), type({}.keys()), type, object, list[int], int|None, types.CellType, type(type.__dict__)]",
        "print(ts)",
    ],
    "descriptors": [
        "d=[str.join, int.__add__, (5).__add__, dict.fromkeys, type.__dict__['__doc__'], int.real, property(lambda s: 1)]",
        "print(d[0](',','ab'), d[1](1,2), d[2](3), d[3]('a'))",
    ],
}
