"""I. Data libraries."""

CASES: dict[str, list[str]] = {
    "views": [
        "import numpy as np; a=np.arange(6.).reshape(2,3); v=a[1]; t=a.T; w=a[::-1]; f=np.asfortranarray(a); fv=f[:,1]; o=np.array([[1],'x',None],dtype=object); ov=o[1:]",
        "v[0]=9; f[0,1]=7; ov[0]='y'",
        "print(a, t, w, fv, o); assert v.base is not None and np.shares_memory(v,a) and np.shares_memory(t,a) and np.shares_memory(ov,o)",
    ],
    "views of a dropped owner": [
        "import numpy as np; a=np.arange(10); v=a[2:5]; w=a[3:6]; del a",
        "v[1]=99",
        "print(w, v)",
    ],
    "owning and writeable": [
        "import numpy as np; a=np.arange(3); r=np.arange(3); r.flags.writeable=False; big=np.zeros(50000); rb=np.ones(50000); rb.flags.writeable=False",
        "a.resize(5); big.resize(50001); print(a, a.flags.owndata, big.flags.writeable, rb.flags.writeable)\ntry: r[0]=1\nexcept ValueError as e: print(e)",
    ],
    "kinds of arrays": [
        "import numpy as np; st=np.array([(1,'a',2.)],dtype=[('x','i4'),('y','U3'),('z','>f8')]); m=np.ma.array([1,2],mask=[0,1]); d=np.array(['2020-01-01'],dtype='M8[D]'); z=np.array(5); e=np.empty((0,3)); be=np.array([1,2],dtype='>i2'); rec=np.rec.array([(1,2)],names='a,b'); mat=np.matrix([[1,2]]); fo=np.zeros((2,3),order='F'); b=np.array([True]); s=np.array(['a','bb']); c=np.array([1+2j]); sc=np.float32(1.5); bs=np.array([b'x'])",
        "print(st, m, d, z, e.shape, be, be.dtype, rec.a, mat, fo.flags.f_contiguous, b, s, c, repr(sc), bs); st['x'][0]=4; m[1]=5; print(st, m)",
    ],
    "strings of numpy": [
        "import numpy as np; a=np.array(['a','long'*10], dtype=np.dtypes.StringDType())",
        "print(a)",
    ],
    "ufuncs and dtypes": [
        "import numpy as np; u=np.add; d=np.dtype('f4'); fs=[np.sin, np.linalg.norm, np.vectorize(lambda x: x+1)]; p=np.poly1d([1,2])",
        "assert u is np.add; print(d, fs[2]([1]), p(2))",
    ],
    "memory map": [
        "import numpy as np; m=np.memmap('m.bin',dtype='i4',mode='w+',shape=(3,)); m[0]=5",
        "m[1]=6; m.flush(); print(m)",
        "print(np.fromfile('m.bin',dtype='i4'), type(m).__name__)",
    ],
    "frames": [
        "import pandas as pd, numpy as np; df=pd.DataFrame({'i':[1,2],'s':['a',None],'c':pd.Categorical(['x','y']),'t':pd.to_datetime(['2020-01-01','2020-01-02']).tz_localize('UTC'),'f':[1.5,np.nan],'o':[[1],{}],'I':pd.array([1,None],dtype='Int64')}); df.attrs['k']=1; mi=df.set_index(['i','s']); g=df.groupby('i'); r=df['f'].rolling(2)",
        "print(df, df.dtypes, df.attrs, mi.index.names, g['f'].sum(), r.sum())",
    ],
    "frames copy on write": [
        "import pandas as pd; df=pd.DataFrame({'a':[1,2,3],'b':[4,5,6]}); d2=df[:]; d3=df.rename(columns={'a':'z'}); s=df['a']; idx=pd.Index([1,2,3]); si=pd.Series(idx); si2=pd.Series([7,8]); si3=si2.to_frame()",
        "d2.iloc[0,0]=100; s.iloc[1]=200; si.iloc[0]=-1; si2.iloc[0]=0",
        "df.iloc[2,1]=300; print(df, d2, d3, s.tolist(), idx.tolist(), si.tolist(), si3)",
    ],
    "frame shared with numpy": [
        "import pandas as pd, numpy as np; df=pd.DataFrame({'a':[1.,2.]}); v=df['a'].to_numpy(); w=df.values",
        "df.iloc[0,0]=9",
        "print(df, v, w, v.flags.writeable)",
    ],
    "frames in containers": [
        "import pandas as pd; d={'x':pd.Series([1,2],name='n')}; l=[d['x']]",
        "d['x'].iloc[0]=5",
        "print(l[0]); assert l[0] is d['x']",
    ],
    "sparse and periods": [
        "import pandas as pd; v=[pd.Period('2020-01'), pd.Timestamp('2020'), pd.Timedelta('1D'), pd.Interval(0,1), pd.NaT, pd.NA, pd.arrays.SparseArray([0,1]), pd.period_range('2020',periods=2)]",
        "print(v); assert v[4] is pd.NaT and v[5] is pd.NA",
    ],
    "figures": [
        "import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as plt\nfig, ax = plt.subplots(); ln,=ax.plot([1,2],label='l')",
        "ax.set_title('t'); assert fig.axes[0] is ax and ax.lines[0] is ln and ax.figure is fig",
        "assert plt.gcf() is fig and plt.gca() is ax; plt.plot([3,4]); print(len(ax.lines), plt.get_fignums(), ax.get_title()); fig.savefig('f.png')",
    ],
    "open figures without a name": [
        "import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as plt\n_=plt.figure(3); plt.plot([1]); del _",
        "print(plt.get_fignums(), len(plt.gca().lines)); plt.title('x');",
        "print(plt.gca().get_title())",
    ],
    "images": [
        "from PIL import Image; im=Image.new('RGB',(2,2),(1,2,3))",
        "im.putpixel((0,0),(9,9,9)); print(im.getpixel((0,0)), im.size, im.mode)",
    ],
    "soup": [
        "from bs4 import BeautifulSoup; s=BeautifulSoup('<a><b>x</b></a>','html.parser'); b=s.b",
        "b.string='y'; print(s)",
    ],
    "traitlets": [
        "from traitlets import HasTraits, Int, observe\nlog=[]\nclass T(HasTraits):\n    x=Int(1)\n    @observe('x')\n    def _c(self, ch): log.append(ch.new)\nt=T(); t.observe(lambda c: log.append('dyn'), 'x')",
        "t.x=5",
        "t.x=6; print(log)",
    ],
    "large lists and dicts": [
        "L=list(range(100000)); D={str(i): i for i in range(20000)}",
        "L[5]+=1; D['key']=1",
        "print(sum(L), len(D))",
    ],
}
