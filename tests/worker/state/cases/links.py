"""Comms and widgets."""

CASES: dict[str, list[str]] = {
    "slider": [
        "import ipywidgets as w; seen=[]\ns=w.IntSlider(3, max=10); s.observe(lambda c: seen.append(c.new), 'value')",
        "s.value=5",
        "s.value=6; print(seen, s.max, s.model_id in w.widgets.widget._instances, s.comm.comm_id == s.model_id)",
        "assert get_ipython().kernel.comm_manager.comms[s.model_id] is s.comm; assert w.widgets.widget._instances[s.model_id] is s",
    ],
    "linked widgets": [
        "import ipywidgets as w; a=w.IntText(1); b=w.IntText(2); l=w.link((a,'value'),(b,'value')); box=w.VBox([a,b]); bt=w.Button(); hits=[]\nbt.on_click(lambda _: hits.append(1))",
        "a.value=7; bt.click()",
        "print(b.value, box.children[0] is a, hits)",
    ],
    "interact": [
        "from ipywidgets import interact, interactive\ndef f(x): out.append(x); return x\nout=[]; it=interactive(f, x=(0,10)); it.update()",
        "it.children[0].value=3; print(out, it.kwargs)",
    ],
    "own comm": [
        "from comm import create_comm; got=[]; c=create_comm(target_name='t', data={'a':1}); c.on_msg(lambda m: got.append(m['content']['data']))\nget_ipython().kernel.comm_manager.register_target('mine', lambda c, m: got.append('open'))",
        "c.handle_msg({'content':{'data':5}}); print(got, 'mine' in get_ipython().kernel.comm_manager.targets)",
        "c.send({'x':1}); c.close(); print(c.comm_id in get_ipython().kernel.comm_manager.comms)",
    ],
    "output widget": ["import ipywidgets as w; o=w.Output()\nwith o: print('in')", "with o: print('again')"],
}
