"""H. IPython."""

CASES: dict[str, list[str]] = {
    "results": [
        "40+2",
        "x=[1]; x",
        "_.append(2); _",
        "print(_, __, ___, _1, Out[2] is x, _2 is x, Out)",
        "x",
        "assert _ is x; print(_i1, In[2], _i, _ii, _iii, get_ipython().execution_count)",
    ],
    "own underscore": ["_=5", "7", "print(_)", "del _; 8", "9; _"],
    "suppressed output": ["5;", "print(Out)", "None", "6", "print(_, sorted(Out))"],
    "history": [
        "a=1",
        "b=2",
        "%history -n 1-2",
        "%history -o",
        "%recall 1",
        "print(list(get_ipython().history_manager.get_tail(3)))",
        "print(list(get_ipython().history_manager.search('b*')))",
        "%rerun 1",
    ],
    "magic functions": [
        "from IPython.core.magic import register_line_magic, register_cell_magic\nn=[0]\n@register_line_magic\ndef lm(line): n[0]+=1; return line.upper()\n@register_cell_magic\ndef cm(line, cell): return (line, cell, n[0])",
        "%lm abc",
        "%%cm x\nbody",
        "print(n)",
    ],
    "magic classes": [
        "from IPython.core.magic import Magics, magics_class, line_magic\n@magics_class\nclass My(Magics):\n    def __init__(self, shell): super().__init__(shell); self.calls=0\n    @line_magic\n    def mm(self, line): self.calls+=1; return self.calls\nget_ipython().register_magics(My)",
        "%mm",
        "%mm",
        "print(type(get_ipython().magics_manager.registry['My']) is My)",
    ],
    "aliases": ["%alias hey echo hello %s", "hey you", "%alias -d nothing" if False else "%hey me"],
    "precision": ["%precision 3", "3.14159265", "%precision", "3.14159265"],
    "formatters": [
        "class A:\n    pass\nf=get_ipython().display_formatter.formatters['text/plain']\nf.for_type(A, lambda a,p,c: p.text('AAA'))\nget_ipython().display_formatter.formatters['text/html'].for_type_by_name('decimal','Decimal', lambda d: '<b>')",
        "A()",
        "from decimal import Decimal; print(sorted(get_ipython().display_formatter.format(Decimal(1))[0]))",
    ],
    "events": [
        "n=[]\ndef hook(*a): n.append(1)\nget_ipython().events.register('pre_run_cell', hook)",
        "1",
        "print(len(n))",
        "get_ipython().events.unregister('pre_run_cell', hook)",
        "print(len(n))",
    ],
    "transformers": [
        "def tr(lines): return [l.replace('MAGICWORD','print(42)') for l in lines]\nget_ipython().input_transformers_cleanup.append(tr)\nimport ast\nclass T(ast.NodeTransformer):\n    def visit_Constant(self, n): return ast.copy_location(ast.Constant(n.value+1), n) if type(n.value) is int else n\nget_ipython().ast_transformers.append(T())",
        "MAGICWORD",
        "print(1)",
    ],
    "custom exception handler": [
        "def h(self, et, ev, tb, tb_offset=None): print('handled', ev)\nget_ipython().set_custom_exc((ValueError,), h)",
        "raise ValueError('q')",
        "raise ValueError('r')",
    ],
    "config": ["%config InteractiveShell.ast_node_interactivity='all'", "1\n2", "%xmode Plain", "1/0"],
    "extensions": [
        "%load_ext autoreload\n%autoreload 2",
        "%autoreload?"
        if False
        else "print(get_ipython().magics_manager.registry['AutoreloadMagics']._reloader.check_all)",
        "print(sorted(get_ipython().extension_manager.loaded))",
    ],
    "matplotlib inline": [
        "%matplotlib inline\nimport matplotlib.pyplot as plt",
        "plt.plot([1,2]); plt.show()",
        "fig, ax = plt.subplots(); ax.plot([1])",
        "fig",
    ],
    "svg figures": [
        "from matplotlib_inline.backend_inline import set_matplotlib_formats; set_matplotlib_formats('svg')",
        "import matplotlib.pyplot as plt; f=plt.figure()",
        "print(sorted(get_ipython().display_formatter.format(f)[0]))",
    ],
    "who": ["a=1; b='x'", "%who", "7", "%who_ls int"],
    "tracebacks of old cells": [
        "def f(x):\n    return g(x)\ndef g(x):\n    return 1/x",
        "x=1",
        "f(0)",
        "def h(): f(0)\nh()",
    ],
    "reset": ["a=1; 5", "%reset -f", "print('a' in globals(), Out)", "a=2; 3", "print(a, _)"],
    "xdel and del": ["a=[1]; b=a", "%xdel a", "print('b' in globals())"],
    "store in builtins trap": ["exit_=exit; q=quit", "assert exit_ is exit and q is quit"],
    "cell magics keep": ["x=5", "%%capture out\nprint('hidden')", "print(out.stdout, x)"],
    "last exception": [
        "try: 1/0\nexcept Exception as e: err=e",
        "import traceback; print(''.join(traceback.format_exception(err)))",
    ],
    "cd and bookmarks": [
        "%mkdir d1\n%cd -q d1",
        "import os; print(os.path.basename(os.getcwd()), len(_dh))",
        "%cd -q -",
        "print(len(_dh))",
    ],
}
