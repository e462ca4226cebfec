"""E. State of the process that is in no variable."""

CASES: dict[str, list[str]] = {
    "random": [
        "import random; random.seed(1); random.random()",
        "random.random()",
        "print(random.random(), random.gauss(0,1))",
        "print(random.gauss(0,1))",
    ],
    "numpy random": [
        "import numpy as np; np.random.seed(1); _=np.random.rand(3)",
        "_=np.random.rand(3)",
        "print(np.random.rand(), np.random.normal())",
        "print(np.random.normal())",
    ],
    "generators of their own": [
        "import random, numpy as np; r=random.Random(1); g=np.random.default_rng(1)",
        "r.random(); g.random()",
        "print(r.random(), g.random())",
    ],
    "environment": [
        "import os; os.environ['SLK_T']='1'; os.environ.pop('HOME', None); os.environ['PATH']+=':/x'",
        "print(os.environ['SLK_T'], 'HOME' in os.environ, os.environ['PATH'][-3:], os.getenv('SLK_T'))",
    ],
    "working directory": [
        "import os; os.mkdir('sub'); os.chdir('sub')",
        "print(os.path.basename(os.getcwd())); os.chdir('..')",
        "print(os.path.exists('sub')); _=os.rmdir('sub')",
        "%cd -q /\n",
        "print(os.getcwd())",
    ],
    "path of modules": [
        "import sys; sys.path.append('/x/y'); sys.path.insert(0,'/z')",
        "print(sys.path[0], sys.path[-1])",
    ],
    "time zone": [
        "import os,time; os.environ['TZ']='Asia/Tokyo'; time.tzset()",
        "print(time.tzname, time.strftime('%H', time.localtime(0)))",
    ],
    "warnings": [
        "import warnings; warnings.simplefilter('error', UserWarning)",
        "try: warnings.warn('x')\nexcept UserWarning as e: print('raised', e)",
        "warnings.filterwarnings('ignore', message='q.*'); n=len(warnings.filters)",
        "warnings.warn('quiet'); print(n==len(warnings.filters))",
    ],
    "logging": [
        "import logging; logging.getLogger('a.b').setLevel(10); log=logging.getLogger('a.b'); logging.getLogger('q').disabled=True; logging.basicConfig(level=logging.INFO, format='%(levelname)s:%(message)s')",
        "assert log is logging.getLogger('a.b'); print(log.level, logging.getLogger('q').disabled, logging.getLogger().level, len(logging.getLogger().handlers))\nlog.warning('hello')",
    ],
    "decimal": [
        "import decimal; decimal.getcontext().prec=5; decimal.getcontext().rounding=decimal.ROUND_UP",
        "print(decimal.Decimal(1)/3); ctx=decimal.getcontext()",
        "print(decimal.Decimal(2)/3, ctx.prec)",
    ],
    "recursion limit": ["import sys; sys.setrecursionlimit(4321)", "print(sys.getrecursionlimit())"],
    "locale": [
        "import locale; _=locale.setlocale(locale.LC_NUMERIC, 'C.UTF-8')",
        "print(locale.setlocale(locale.LC_NUMERIC))",
    ],
    "pandas options": [
        "import pandas as pd; pd.set_option('display.max_rows', 7); pd.options.display.precision=3",
        "print(pd.get_option('display.max_rows'), pd.DataFrame({'a':[1.23456789]}))",
    ],
    "numpy print options": [
        "import numpy as np; np.set_printoptions(precision=2, suppress=True)",
        "print(np.array([1.23456]))",
    ],
    "numpy errors": [
        "import numpy as np; _=np.seterr(divide='raise')",
        "try: np.array([1.])/0\nexcept FloatingPointError as e: print(e)",
    ],
    "rcParams": [
        "import matplotlib.pyplot as plt; plt.rcParams['figure.dpi']=55; plt.rcParams['lines.linewidth']=7",
        "print(plt.rcParams['figure.dpi'], plt.rcParams['lines.linewidth'], plt.get_backend())",
    ],
    "styles": [
        "import matplotlib.pyplot as plt; plt.style.use('ggplot')",
        "print(plt.rcParams['axes.facecolor'])",
    ],
    "builtins": [
        "import builtins; builtins.myname=[1]; alias=builtins.myname",
        "myname.append(2); print(alias); assert myname is alias",
    ],
    "thread local": [
        "import threading; tl=threading.local(); tl.x=[1]\nclass L(threading.local):\n    y=3\nl2=L(); l2.z=4",
        "print(tl.x, l2.y, l2.z)",
    ],
    "context variable": [
        "import contextvars; cv=contextvars.ContextVar('cv', default=1); cv.set([2]); cw=contextvars.ContextVar('cw')",
        "print(cv.get())\ntry: cw.get()\nexcept LookupError: print('unset')",
        "tok=cw.set(3); del tok",
        "print(cw.get())",
    ],
    "submodules": [
        "import xml.dom, os.path as osp, importlib",
        "import xml; print(xml.dom.Node.ELEMENT_NODE, osp.basename('/a/b'))",
    ],
    "switch interval and hooks": [
        "import sys; sys.setswitchinterval(0.02)",
        "print(round(sys.getswitchinterval(),3))",
    ],
    "socket default timeout": [
        "import socket; socket.setdefaulttimeout(12.5)",
        "print(socket.getdefaulttimeout())",
    ],
}
