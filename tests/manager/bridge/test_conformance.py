"""jupyter_kernel_test, the public conformance suite: on the provisioner, on the argv process, shut in."""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from jupyter_kernel_test import IopubWelcomeTests, KernelTests

from fixtures.broker import Broker
from fixtures.kernel import ARGV, PROVISIONED, write_kernelspecs

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module", autouse=True)
def on_a_broker(shared_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("jupyter")
    write_kernelspecs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        patch.setenv("SERVERLESS_KERNEL_URL", shared_broker.url)
        yield


@pytest.fixture(autouse=True)
def no_leaks() -> None:
    """Each class keeps one kernel over its tests."""


class _Python:  # the suite reads class attributes, lists of samples among them
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "search")
    completion_samples: ClassVar = [{"text": "zi", "matches": {"zip"}}]
    complete_code_samples: ClassVar = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]
    incomplete_code_samples: ClassVar = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples: ClassVar = ["import = 7q"]
    code_execute_result: ClassVar = [
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data: ClassVar = [
        {"code": "from IPython.display import HTML, display; display(HTML('<b>x</b>'))", "mime": "text/html"},
        {"code": "from IPython.display import Math, display; display(Math('x'))", "mime": "text/latex"},
    ]


class TestProvisioner(_Python, KernelTests):
    kernel_name = PROVISIONED


class TestArgv(_Python, KernelTests):
    kernel_name = ARGV


class TestInASandbox(_Python, KernelTests):
    kernel_name = PROVISIONED

    @classmethod
    def setUpClass(cls) -> None:
        cls.broker = Broker(preload="", spares=1, files="state").start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SERVERLESS_KERNEL_URL", cls.broker.url)
            super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        cls.broker.destroy()


class TestProvisionerWelcome(IopubWelcomeTests):
    kernel_name = PROVISIONED
    support_iopub_welcome = True


class TestArgvWelcome(IopubWelcomeTests):
    kernel_name = ARGV
    support_iopub_welcome = True


del KernelTests, IopubWelcomeTests
