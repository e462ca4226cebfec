"""`python -m kernel_broker.worker.sandbox RULES`: put every layer on, and say as JSON which there are.

What cannot be put on in truth counts as missing, whatever the kernel's version promises.
"""

import json
import sys

from kernel_broker.worker.sandbox.plan import Rules, Sandbox


def main() -> None:
    """Try it in this process."""
    sandbox = Sandbox(Rules.from_plain(json.loads(sys.argv[1])))
    refusal = sandbox.refusal
    if refusal is None:
        try:
            sandbox.enter(None)
        except OSError as error:
            refusal = f"the kernel refuses it: {error.strerror}"
    sys.stdout.write(json.dumps({**sandbox.describe(), "refusal": refusal}))


if __name__ == "__main__":
    main()
