"""Everything that runs inside the sandbox: the zygote, the IPython kernel, the state engine.

Imports wire and never the broker; the only room that pickles. Nobody imports it: it is exec'd.
"""
