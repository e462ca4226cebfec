"""The environment that processes for user code are exec'd with."""

import os

KEPT_ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "SHELL",
                    "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "IPYTHONDIR", "MPLCONFIGDIR",
                    "SERVERLESS_IMAGE")  # fmt: skip
"""All that the zygote inherits of the broker's environment, besides LC_*: nothing that can hold a secret."""


def clean_environment() -> dict[str, str]:
    """The environment a zygote is exec'd with."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
    kept |= {name: value for name, value in os.environ.items() if name.startswith("LC_")}
    return kept | {
        "PYTHONHASHSEED": "0",  # sets restored in another process iterate in the same order
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
