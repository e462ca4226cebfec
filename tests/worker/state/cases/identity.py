"""A. Identity, the shape of the graph, and names."""

CASES: dict[str, list[str]] = {
    "alias": ["a=[1]; b=a", "c={'k':a}", "b.append(2); print(a, c)", "assert a is b is c['k']"],
    "alias of a frame": [
        "import pandas as pd; df=pd.DataFrame({'a':[1,2]}); df2=df",
        "df2.loc[0,'a']=9",
        "print(df); assert df is df2",
    ],
    "alias made in a helper": [
        "store=[]\ndef reg(t): store.append(t); return t",
        "t=reg({'x':1})",
        "t['x']=2",
        "print(store); assert store[0] is t",
    ],
    "un-aliased": ["a=[1]; b=a", "b=[1]", "a.append(5); print(a,b)"],
    "cycles": [
        "l=[1]; l.append(l); o=type('O',(),{})(); o.d={'o':o}; tl=[]; t=(tl,); tl.append(t)",
        "assert l[1] is l; assert o.d['o'] is o; assert t[0][0] is t",
    ],
    "singleton on its class": [
        "class S:\n    _it=None\n    def __new__(cls):\n        cls._it = cls._it or object.__new__(cls); return cls._it\ns=S()",
        "assert S() is s and type(s) is S",
    ],
    "deep list": [
        "x=[]\nfor _ in range(20000): x=[x]",
        "n=0\ny=x\nwhile y: y=y[0]; n+=1\nprint(n)",
    ],
    "deep linked objects": [
        "class N: pass\nh=None\nfor _ in range(20000):\n    n=N(); n.next=h; h=n",
        "n=0; c=h\nwhile c is not None: c=c.next; n+=1\nprint(n)",
    ],
    "sentinels": [
        "MISSING=object(); e=[None,...,NotImplemented]; d={MISSING:1,'m':MISSING}\ndef f(x=MISSING): return x is MISSING",
        "assert f() and not f(1) and d[MISSING]==1 and d['m'] is MISSING; assert e[1] is ... and e[2] is NotImplemented",
    ],
    "order of dicts and sets": [
        "d={c:i for i,c in enumerate('qwerty')}; del d['e']; d['e']=9; s={'apple','pear','fig','kiwi'}; before=list(s)",
        "print(list(d.items()), list(s)==before)",
    ],
    "private and dunder names": ["_p=1; __d__=2; _2d=[3]", "print(_p,__d__,_2d)"],
    "rebound builtins": [
        "list=5; id=lambda x:'mine'; exit=7; open=8",
        "print(list, id(0), exit, open)",
        "del list, open; print(list('ab'), open)",
    ],
    "IPython names are its own": ["x=1", "assert exit is get_ipython().exiter; print(type(open))"],
    "deleted": ["a=1; b=2", "del a", "print('a' in dir(), b)\ntry: a\nexcept NameError as e: print(e)"],
    "order of names": ["b=1; a=2; c=3", "del a; a=4", "print([n for n in globals() if n in 'abc'])"],
    "interned and large atoms": [
        "x=10**40; y='é'*1000; z=b'\\0'*5000; w=bytearray(b'abc')",
        "w+=b'd'",
        "print(x,len(y),len(z),w)",
    ],
    "same string twice": ["a='hello world'*3; b=a; c=[a]", "assert a is b is c[0]"],
    "globals in a variable": ["g=globals(); x=1", "g['y']=5", "assert g is globals(); print(y)"],
    "get_ipython in a variable": [
        "ip=get_ipython(); gi=get_ipython; hm=ip.history_manager",
        "assert ip is get_ipython() and gi() is ip and hm is ip.history_manager",
    ],
    "live lists": ["i=In; o=Out; 5", "7", "assert i is In and o is Out; print(o)"],
    "process objects": [
        "import sys, os; m=sys.modules; p=sys.path; e=os.environ; out=sys.stdout; b=__builtins__",
        "import builtins; assert m is sys.modules and p is sys.path and e is os.environ and out is sys.stdout\nprint('hi', file=out)",
    ],
    "copy of a result of a failed cell": ["a=[]", "a.append(1); b=a; 1/0", "a.append(2); print(a,b)"],
    "empty namespace": ["", "print(sorted(n for n in dir() if not n.startswith('_')))"],
}
