"""D. Changes that are easy to miss, each in a cell of its own."""

CASES: dict[str, list[str]] = {
    "global in a function": ["y=1\ndef f():\n    global y; y=5", "f()", "print(y)"],
    "exec": ["reg=[]", "exec('reg'+'.append(1)')", "eval('reg.append(2)'); print(reg)"],
    "callback of pandas": [
        "import pandas as pd; seen=[]; df=pd.DataFrame({'a':[1,2]})",
        "_=df['a'].apply(lambda v: seen.append(v))",
        "print(seen)",
    ],
    "event bus": [
        "hits=[]; bus={'go': [lambda v: hits.append(v)]}",
        "for h in bus['go']: h(7)",
        "print(hits)",
    ],
    "class body": ["reg=[]", "class A: reg.append(1)", "print(reg)"],
    "globals get": ["reg=[]", "globals().get('reg').append(1)", "globals().update(z=3); print(reg, z)"],
    "through a view": ["import numpy as np; a=np.zeros(4); v=a[1:3]", "v[0]=5", "print(a)"],
    "through a default": ["acc=[]\ndef f(x, acc=acc): acc.append(x)", "f(1)", "print(acc)"],
    "in timeit": ["n=[0]", "%timeit -n1 -r1 -q n.append(1)", "print(n)"],
    "through a lambda of an object": [
        "class O: pass\no=O(); l=[]; o.go=lambda: l.append(1)",
        "o.go()",
        "print(l)",
    ],
    "through a property": [
        "log=[]\nclass A:\n    @property\n    def x(s): log.append('x'); return 1\na=A()",
        "a.x",
        "print(log)",
    ],
    "by a thread": [
        "import threading; got=[]; go=threading.Event()\nt=threading.Thread(target=lambda: (go.wait(), got.append(1)))",
        "t.start(); go.set(); t.join()",
        "print(got, t.is_alive())",
    ],
    "a big array in place": [
        "import numpy as np; a=np.zeros(300_000); b=a[::2]",
        "a[7]+=1; a[8]+=2",
        "print(a[6:10], b[4], a.sum()); assert b.base is a",
    ],
    "delete of an item": ["d={'a':1,'b':2}", "del d['a']", "print(d)"],
    "failing half way": ["l=[]", "l.append(1)\n1/0\nl.append(2)", "print(l)"],
    "frame in place": [
        "import pandas as pd; df=pd.DataFrame({'a':[1,2,3],'b':list('xyz')}); s=df['a']",
        "df.loc[1,'a']=9; df['c']=1",
        "print(df, s.tolist())",
        "s.iloc[0]=50; print(df['a'].tolist(), s.tolist())",
    ],
    "walrus, loops, with": [
        "if (n:=10)>5: pass\nfor i in range(3): last=i\nimport io\nwith io.StringIO('x') as fh: c=fh.read()",
        "print(n,i,last,c,fh.closed)",
    ],
    "star import": ["from math import *", "print(sqrt(4), pi)"],
}
