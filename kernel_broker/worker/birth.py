"""A worker's first steps after the fork: cut every tie to the zygote, then be ended with it."""

import gc
import os
import signal
import socket

from kernel_broker.worker.sandbox.calls import PR_SET_PDEATHSIG, control
from kernel_broker.worker.sandbox.place import Place


def be_born(keep: socket.socket, zygote_pid: int, place: Place | None) -> None:
    """Detach the forked process: own session, no inherited descriptor but `keep`, death with the zygote.

    Then shut it in, before any code of a user's.
    """
    os.setsid()
    control(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != zygote_pid:
        os._exit(1)  # the zygote died before the tie was made
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    _silence_standard_streams()
    if place is not None:
        place.enter()
    _close_descriptors(keep.fileno())
    gc.enable()


def _silence_standard_streams() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)


def _close_descriptors(keep: int) -> None:
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 65536 else 65536)
