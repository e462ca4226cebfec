"""ipykernel's application, split in two: what the zygote builds once, and what each worker adds."""

import os
import random
import sys
from typing import Any

from ipykernel.control import ControlThread
from ipykernel.kernelapp import IPKernelApp
from IPython.core.history import HistoryManager
from traitlets import import_item

from kernel_broker.worker.channel import Channel
from kernel_broker.worker.kernel import WorkerKernel
from kernel_broker.worker.sockets import ChannelSocket, IOPub, NoShellThread, Outlet


class WorkerApp(IPKernelApp):
    """`IPKernelApp` over stand-in sockets.

    `initialize` runs in the zygote and starts no thread; `awaken` runs in the worker, after the fork;
    `enter` runs when the worker is given a session, and only then is user configuration executed.
    """

    kernel_class = WorkerKernel

    def initialize(self, argv: list[str] | None = None) -> None:
        """Build the kernel and its shell, without sockets, streams or threads."""
        HistoryManager.hist_file.default_value = ":memory:"  # history is part of the session's state
        super().initialize(argv or [])

    def init_connection_file(self) -> None:
        """No ports, no file."""

    write_connection_file = log_connection_info = init_heartbeat = init_poller = init_connection_file
    init_signal = init_extensions = init_code = init_connection_file

    def init_sockets(self) -> None:
        """Stand-ins instead of ZMQ sockets."""
        self.outlet = Outlet()
        self.session.key = b""
        self.shell_socket = ChannelSocket(self.outlet, "shell")
        self.control_socket = ChannelSocket(self.outlet, "control")
        self.stdin_socket = ChannelSocket(self.outlet, "stdin")
        self.iopub_thread = IOPub(self.outlet)
        self.iopub_socket = self.iopub_thread.background_socket
        self.configure_tornado_logger()

    def init_io(self) -> None:
        """Only the display hook: streams need the worker's control loop."""
        self.displayhook = import_item(str(self.displayhook_class))(self.session, self.iopub_socket)
        sys.displayhook = self.displayhook
        self.patch_io()

    def init_kernel(self) -> None:
        """Create the kernel on the stand-ins."""
        self.kernel = WorkerKernel.instance(
            parent=self,
            session=self.session,
            shell_stream=self.shell_socket,
            control_stream=self.control_socket,
            iopub_thread=self.iopub_thread,
            iopub_socket=self.iopub_socket,
            stdin_socket=self.stdin_socket,
            shell_channel_thread=NoShellThread(),
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
        )
        self.kernel.record_ports({})
        self.displayhook.get_execution_count = lambda: self.kernel.execution_count

    def awaken(self, control_thread: ControlThread, channel: Channel) -> None:
        """After the fork: own identity, own randomness, own streams."""
        self.outlet.channel = channel
        self.iopub_thread.awaken(control_thread.io_loop)
        stream = import_item(str(self.outstream_class))
        sys.stdout = stream(self.session, self.iopub_thread, "stdout", watchfd=self.capture_fd_output)
        sys.stderr = stream(self.session, self.iopub_thread, "stderr", watchfd=self.capture_fd_output)
        super().init_signal()
        self.kernel.awaken(control_thread)
        _reseed()

    def enter(self) -> None:
        """A session moves in: what `IPKernelApp` runs for the user's profile, PYTHONSTARTUP included.

        It runs again in every worker the session moves to, before the state is brought back.
        """
        session_name = os.environ.get("JPY_SESSION_NAME")
        if session_name:
            self.shell.user_ns["__session__"] = session_name
            self.shell.user_ns_hidden["__session__"] = session_name
        super().init_extensions()
        super().init_code()
        sys.stdout.flush()
        sys.stderr.flush()


def _reseed() -> None:
    """Workers forked from one zygote must not draw the same numbers."""
    random.seed()
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and "numpy.random" in sys.modules:
        numpy.random.seed()
