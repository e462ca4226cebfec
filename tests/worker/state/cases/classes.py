"""C. Classes made in cells."""

CASES: dict[str, list[str]] = {
    "identity over cells": [
        "class A: pass\na=A()",
        "b=A()",
        "assert type(a) is type(b) is A and isinstance(a,A)",
    ],
    "redefined class": [
        "class A:\n    v=1\na=A()",
        "class A:\n    v=2",
        "print(a.v, A().v, isinstance(a,A)); O=type(a)",
        "assert O is type(a) and O is not A",
    ],
    "counters and patches": [
        "class A:\n    n=0\n    def __init__(s): A.n+=1\na=A()",
        "A.hi=lambda s: ('hi', s.n); A()",
        "print(a.hi(), A.n)",
    ],
    "super and descriptors": [
        "class D:\n    def __set_name__(s,o,n): s.n=n; log.append(n)\n    def __get__(s,i,o): return s if i is None else i.__dict__.get(s.n,0)\n    def __set__(s,i,v): i.__dict__[s.n]=v*2\nlog=[]\nclass A:\n    x=D()\n    @property\n    def p(s): return s.x+1\n    @p.setter\n    def p(s,v): s.x=v\n    @staticmethod\n    def st(): return 'st'\n    @classmethod\n    def cm(cls): return cls\n    def who(s): return 'A'\nclass B(A):\n    def who(s): return 'B'+super().who()\nb=B()",
        "b.x=2; print(b.x, b.p, b.st(), b.who(), log); assert b.cm() is B",
        "b.p=5; print(b.x, log)",
    ],
    "slots": [
        "class P:\n    __slots__=('x','__y')\n    def __init__(s,x): s.x=x; s.__y=x*2\n    def y(s): return s.__y\np=P(1)",
        "print(p.x,p.y())\ntry: p.z=1\nexcept AttributeError as e: print(e)",
    ],
    "dataclasses": [
        "from dataclasses import dataclass, field, replace, fields\n@dataclass(order=True)\nclass A:\n    x:int\n    l:list=field(default_factory=list)\n@dataclass(frozen=True, slots=True)\nclass K:\n    a:int=1\na=A(2); k=K(3); d={k:'v'}",
        "a.l.append(1); print(a, a<A(3), replace(a,x=9), d[K(3)], [f.name for f in fields(A)])\ntry: k.a=1\nexcept Exception as e: print(type(e).__name__)",
        "print(a, A(1), K())",
    ],
    "named tuples": [
        "from collections import namedtuple; from typing import NamedTuple, TypedDict\nP=namedtuple('P','x y', defaults=[5])\nclass Q(NamedTuple):\n    a:int\n    b:str='z'\nclass T(TypedDict, total=False):\n    k:int\np=P(1); q=Q(2); t=T(k=1)",
        "print(p, q, t, p._replace(x=3), Q(1).b, T.__annotations__, T.__total__); assert type(p) is P",
    ],
    "enums": [
        "from enum import Enum, IntEnum, Flag, auto, StrEnum\nclass Color(Enum):\n    RED=1; GREEN='g'; ROT=1\n    def hi(s): return s.name\nclass N(IntEnum):\n    A=auto(); B=auto()\nclass F(Flag):\n    R=auto(); W=auto(); RW=R|W\nclass S(StrEnum):\n    X='x'\nclass Planet(Enum):\n    E=(1,2); M=(3,4)\n    def __init__(s,m,r): s.m=m; s.r=r\nc=Color.RED; d={Color.GREEN:1}; f=F.R; rw=F.R|F.W",
        "assert c is Color.RED is Color.ROT is Color(1) and d[Color.GREEN]==1 and Color['GREEN'] is Color('g')\nprint(c.hi(), list(Color), N.B+1, F.RW, rw is F.RW, (~f), S.X+'y', Planet.M.r, Planet.E.value, Planet((3,4)))",
        "class More(Enum):\n    Z=c\nprint(More.Z.value is Color.RED, f|F.W is rw, F(3) is rw, len(Color), repr(N.A), N(2) is N.B, Color.RED in {c})",
    ],
    "abstract classes": [
        "from abc import ABC, abstractmethod\nclass I(ABC):\n    @abstractmethod\n    def f(self): ...\nclass J(I):\n    def f(self): return 1\nclass V: pass\nI.register(V); j=J()",
        "print(j.f(), isinstance(V(), I), issubclass(V,I))\ntry: I()\nexcept TypeError as e: print(e)",
    ],
    "metaclass and hooks run once": [
        "reg=[]; made=[]\nclass M(type):\n    def __new__(m,n,b,d): reg.append(n); return super().__new__(m,n,b,d)\n    def __init__(c,n,b,d): made.append(c); super().__init__(n,b,d)\n    def __call__(c,*a): return super().__call__(*a)\nclass A(metaclass=M): pass\nclass B(A): pass\nsubs=[]\nclass P:\n    def __init_subclass__(cls, tag=None): subs.append((cls.__name__,tag)); cls.tag=tag\nclass Q(P, tag='t'): pass\nb=B()",
        "print(reg, made, subs, Q.tag, type(A) is M); assert made[0] is A and made[1] is B",
        "class C(B): pass\nclass R(P, tag='r'): pass\nprint(reg, subs, len(made)); assert made[2] is C",
    ],
    "generic and protocol": [
        "from typing import Generic, TypeVar, Protocol, runtime_checkable\nT=TypeVar('T')\nclass Box(Generic[T]):\n    def __init__(s,v:T): s.v=v\nclass IB(Box[int]): pass\n@runtime_checkable\nclass HasF(Protocol):\n    def f(self): ...\nclass X:\n    def f(self): return 1\nb=Box[int](3)",
        "print(b.v, Box[str], IB.__orig_bases__, isinstance(X(),HasF), isinstance(1,HasF), Box.__parameters__[0] is T, b.__orig_class__)",
    ],
    "exceptions": [
        "class E(Exception):\n    def __init__(self, code, *, why): super().__init__(f'{code}:{why}'); self.code=code; self.why=why\ntry:\n    try: 1/0\n    except ZeroDivisionError as z: raise E(4, why='w') from z\nexcept E as e: err=e; err.add_note('n1')\nos_err=FileNotFoundError(2,'no','f.txt'); grp=ExceptionGroup('g',[ValueError(1)]); ue=UnicodeDecodeError('utf8',b'x',0,1,'bad')",
        "print(repr(err), err.code, err.why, repr(err.__cause__), err.__notes__, os_err, os_err.filename, repr(grp), ue)\ntry: raise err\nexcept E as x: print(x is err)",
        "raise err",
    ],
    "own pickling": [
        "class G:\n    def __init__(s): s.a=1; s.b=lambda: 2\n    def __getstate__(s): d=s.__dict__.copy(); del d['b']; return d\n    def __setstate__(s,d): s.__dict__.update(d); s.b=lambda: 2\ng=G()",
        "print(g.a, g.b())",
    ],
    "pydantic": [
        "from pydantic import BaseModel, field_validator\nclass M(BaseModel):\n    x:int\n    t:list[str]=[]\n    @field_validator('x')\n    def pos(cls,v):\n        assert v>0; return v\nm=M(x='3')",
        "print(m, m.model_dump(), M(x=4), M.model_json_schema()['required'])\ntry: M(x=-1)\nexcept Exception as e: print(type(e).__name__)",
    ],
    "attrs": [
        "import attr\n@attr.s(auto_attribs=True, frozen=True)\nclass A:\n    x:int=1\n    l:list=attr.Factory(list)\na=A(5)",
        "print(a, A(), attr.evolve(a,x=2), hash(A(1,())) == hash(A(1,())))",
    ],
    "builtin subclasses": [
        "class L(list): tag='t'\nclass D(dict):\n    def __missing__(s,k): return k*2\nclass I(int): pass\nclass S(str): pass\nclass TT(tuple): pass\nl=L([1]); l.extra=l; d=D(a=1); i=I(5); i.note='n'; s=S('q'); t=TT((1,l))",
        "l.append(2); print(l, l.extra is l, d['zz'], d, i+1, i.note, s.upper(), t[1] is l)",
    ],
    "class state": [
        "class A:\n    cache={}\n    @classmethod\n    def put(cls,k): cls.cache[k]=len(cls.cache)\nalias=A.cache",
        "A.put('a')",
        "A.put('b'); print(alias); assert alias is A.cache",
    ],
    "class of a type call": [
        "K=type('K',(dict,),{'f':lambda s: len(s)}); k=K(a=1)",
        "print(k.f(), k, type(k) is K)",
    ],
    "doc and annotations": [
        "class A:\n    'd'\n    x: int = 3\n    class Inner: y=2\na=A.Inner()",
        "print(A.__doc__, A.__annotations__, A.Inner.__qualname__, type(a) is A.Inner, A.__module__)",
    ],
    "operators": [
        "class V:\n    def __init__(s,x): s.x=x\n    def __add__(s,o): return V(s.x+o.x)\n    def __eq__(s,o): return s.x==o.x\n    __hash__=None\n    def __len__(s): return s.x\n    def __getattr__(s,n):\n        if n.startswith('__'): raise AttributeError(n)\n        return n\nv=V(2)",
        "print((v+v).x, v==V(2), len(v), v.foo)\ntry: hash(v)\nexcept TypeError as e: print(e)",
    ],
}
