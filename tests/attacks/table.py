"""The attacks: cells that end in the error given if they are stopped, and without one if they succeed."""

from typing import NamedTuple

DENIED = "PermissionError"
ELSEWHERE = r"PermissionError|OSError.*Errno 18"  # another device, as it were
FAILED = "CalledProcessError"


class Attack(NamedTuple):
    """One cell of an attacker's."""

    name: str
    code: str
    error: str = DENIED
    """What it must end in; a regular expression over name and text of the error."""
    succeeds: bool = False
    """Whether it is shown to succeed where there is no sandbox."""


PROCESSES: list[Attack] = [
    Attack("read memory", "f = open(f'/proc/{victim}/mem', 'rb'); f.seek(address); print(f.read(14))", succeeds=True),
    Attack("read memory by call", """
into = ctypes.create_string_buffer(14)
here = struct.pack("QQ", ctypes.addressof(into), 14)
there = struct.pack("QQ", address, 14)
check(libc.process_vm_readv(victim, here, ctypes.c_ulong(1), there, ctypes.c_ulong(1), ctypes.c_ulong(0)))
assert into.raw == b"in memory only"
""", succeeds=True),
    Attack("write memory by call", """
data = ctypes.create_string_buffer(b"overwritten!!!")
here = struct.pack("QQ", ctypes.addressof(data), 14)
there = struct.pack("QQ", address, 14)
check(libc.process_vm_writev(victim, here, ctypes.c_ulong(1), there, ctypes.c_ulong(1), ctypes.c_ulong(0)))
"""),
    Attack("trace a sibling", "check(libc.ptrace(0x4206, victim, 0, 0))"),  # PTRACE_SEIZE
    Attack("trace the broker", "check(libc.ptrace(0x4206, broker, 0, 0))"),
    Attack("trace the zygote", "check(libc.ptrace(0x4206, zygote, 0, 0))"),
    Attack("environment of a sibling", "print(Path(f'/proc/{victim}/environ').read_bytes())", succeeds=True),
    Attack("environment of the broker", """
found = Path(f"/proc/{broker}/environ").read_text()
assert "KERNEL_BROKER_STORE_URL" in found
""", succeeds=True),
    Attack("memory of the broker", "open(f'/proc/{broker}/mem', 'rb')", succeeds=True),
    Attack("memory of the zygote", "open(f'/proc/{zygote}/mem', 'rb')"),
    Attack("maps of a sibling", "print(Path(f'/proc/{victim}/maps').read_text())", succeeds=True),
    Attack("command line of a sibling", "print(Path(f'/proc/{victim}/cmdline').read_text())", succeeds=True),
    Attack("all processes", "print(os.listdir('/proc'))", succeeds=True),
    Attack("descriptors of a sibling", "print(os.listdir(f'/proc/{victim}/fd'))", succeeds=True),
    Attack("take a descriptor", "call((438, 438), os.pidfd_open(victim), 0, 0)"),
    Attack("the sibling's files by its root", "print(os.listdir(f'/proc/{victim}/root/'))"),
    Attack("kill a sibling", "os.kill(victim, signal.SIGKILL)"),
    Attack("kill a sibling by descriptor", "signal.pidfd_send_signal(os.pidfd_open(victim), signal.SIGKILL)"),
    Attack("kill the group of a sibling", "os.killpg(victim, signal.SIGKILL)"),
    Attack("kill the zygote", "os.kill(zygote, signal.SIGKILL)"),
    Attack("kill the broker", "os.kill(broker, signal.SIGKILL)"),
    Attack("interrupt a sibling", "os.kill(victim, signal.SIGINT)", succeeds=True),
    Attack("kill everything", "os.kill(-1, signal.SIGKILL); raise PermissionError('nobody was there')"),
    Attack("limits of a sibling", "resource.prlimit(victim, resource.RLIMIT_NOFILE, (3, 3))"),
    Attack("limits of the broker", "resource.prlimit(broker, resource.RLIMIT_CPU, (1, 1))"),
    Attack("priority of a sibling", "os.setpriority(os.PRIO_PROCESS, victim, 19)"),
    Attack("priority of all", "os.setpriority(os.PRIO_USER, 0, 19)"),
    Attack("processors of a sibling", "os.sched_setaffinity(victim, {0})", succeeds=True),
    Attack("how a sibling is scheduled", """
os.sched_setscheduler(victim, os.SCHED_IDLE, os.sched_param(0))
assert os.sched_getscheduler(victim) == os.SCHED_IDLE
""", "AssertionError", succeeds=True),
    Attack("processors of the broker", "os.sched_setaffinity(broker, {0})"),
]  # fmt: skip

FILES: list[Attack] = [
    Attack("a sibling's file", "print(open(f'{work}/secret.txt').read())", succeeds=True),
    Attack("a sibling's folder", "print(os.listdir(work))", succeeds=True),
    Attack("the folders of all", "print(os.listdir(os.path.dirname(work)))", succeeds=True),
    Attack("a file in a sibling's folder", "open(f'{work}/planted.py', 'w')"),
    Attack("a sibling's file, removed", "os.remove(f'{work}/secret.txt')"),
    Attack("a sibling's file, moved here", "os.rename(f'{work}/secret.txt', 'mine')", ELSEWHERE),
    Attack("a sibling's file, linked here", "os.link(f'{work}/secret.txt', 'mine')", ELSEWHERE),
    Attack("a sibling's file, by a link", "os.symlink(f'{work}/secret.txt', 'link'); open('link')"),
    Attack("a sibling's file, by this root", "open(f'/proc/self/root{work}/secret.txt')"),
    Attack("a sibling's file, by a child", "subprocess.run(['cat', f'{work}/secret.txt'], check=True)", FAILED),
    Attack("a sibling's file, truncated", "os.truncate(f'{work}/secret.txt', 0)"),
    Attack("a sibling's temporary files", "print(os.listdir(temporary))", succeeds=True),
    Attack("names in a folder, watched", "check(libc.inotify_init1(0))"),
    Attack("files by handle", "call((304, 265), -100, ctypes.create_string_buffer(8), 0)"),
    Attack("the store", "open(store, 'rb').read(16)", succeeds=True),
    Attack("the account token of a pod", "print(open(mounted).read())", succeeds=True),
    Attack("passwords", "open('/etc/shadow').read()"),
    Attack("the home of root", "os.listdir('/root')"),
    Attack("the temporary folder of all", "os.listdir('/tmp')", succeeds=True),
    Attack("a file for all", "open(f'/tmp/planted-{port}', 'w')", succeeds=True),
    Attack("the code of workers", "open(sys.modules['kernel_broker.worker'].__file__, 'a')"),
    Attack("a terminal", "os.openpty()", "OSError|PermissionError"),
    Attack("shared memory, listed", "os.listdir('/dev/shm')", succeeds=True),
    Attack("shared memory, filled", "open('/dev/shm/planted-by-attacker', 'w')"),
    Attack("shared memory, by name", """
from multiprocessing.shared_memory import SharedMemory
SharedMemory(name=f"victims-{port}")
""", "FileNotFoundError", succeeds=True),
    Attack("shared memory, by number", "check(libc.shmget(4711, 4096, 0o1600))"),
    Attack("a queue, by name", "call((240, 180), b'planted', 0o101, 0o600, None)"),
]  # fmt: skip

KERNEL: list[Attack] = [
    Attack("inherited descriptors", """
links = {}
for name in os.listdir("/proc/self/fd"):
    try:
        links[name] = os.readlink(f"/proc/self/fd/{name}")
    except FileNotFoundError:
        pass  # that of the listing itself
known = ("/dev/null", "/memfd:exchange", "pipe:", "socket:", "anon_inode:")
assert [link for link in links.values() if not link.startswith(known)], links
""", "AssertionError"),
    Attack("a user namespace", "check(libc.unshare(0x10000000))"),
    Attack("a user namespace for a child", "subprocess.run(['unshare', '-U', 'true'], check=True)", FAILED),
    Attack("a user namespace by clone", "call((56, 220), ctypes.c_ulong(0x10000000 | 17), 0, 0, 0, 0)"),
    Attack("a user namespace by clone3", "call((435, 435), bytes(88), 88)", "OSError.*Errno 38"),
    Attack("another namespace", "check(libc.setns(os.open('/proc/self/ns/net', os.O_RDONLY), 0))"),
    Attack("a mount", "check(libc.mount(b'none', os.getcwd().encode(), b'tmpfs', 0, None))"),
    Attack("a root", "os.chroot('.')"),
    Attack("root", "os.setuid(0)"),
    Attack("bpf", "call((321, 280), 0, bytes(128), 128)"),
    Attack("userfaultfd", "call((323, 282), 1)"),
    Attack("io_uring", "call((425, 425), 4, ctypes.create_string_buffer(120))"),
    Attack("perf", "call((298, 241), ctypes.create_string_buffer(112), 0, -1, -1, 0)"),
    Attack("keys", "call((250, 219), 0, -3, 1, 0, 0)"),
    Attack("a kernel module", "call((313, 273), 0, b'', 0)"),
    Attack("a log of the kernel", "call((103, 116), 3, ctypes.create_string_buffer(16), 16)"),
    Attack("calls of another kind", """
call((0x40000000 | 39, 101), 0)  # x86_64 has a second table of them; nothing of the sort elsewhere
"""),
    Attack("new rules over old ones", """
rules = call((444, 444), struct.pack("QQQ", 1 << 2, 0, 0), ctypes.c_size_t(24), 0)
root = os.open("/", os.O_PATH)
call((445, 445), rules, 1, struct.pack("=Qi", 1 << 2, root), 0)
call((446, 446), rules, 0)
open(f"{work}/secret.txt")
"""),
    Attack("what the broker was told", """
told = [Path("/proc/self/environ").read_text(), repr(dict(os.environ)), repr(sys.argv)]
assert any("KERNEL_BROKER" in text or "token-of" in text for text in told)
""", "AssertionError"),
]  # fmt: skip

NETWORK: list[Attack] = [
    Attack("an abstract socket", "socket.socket(socket.AF_UNIX).connect(f'\\0victims-{port}')", succeeds=True),
    Attack("the store's port", "socket.create_connection(('127.0.0.1', port))", succeeds=True),
    Attack("the broker's port", "socket.create_connection(('127.0.0.1', broker_port))", succeeds=True),
    Attack("the broker's port, version 6", "socket.socket(socket.AF_INET6).connect(('::1', broker_port))"),
    Attack("the metadata service", "socket.socket().connect(('169.254.169.254', 80))"),
    Attack("a datagram", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))", succeeds=True),
    Attack("raw packets", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"),
    Attack("packets of the link", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)"),
    Attack("virtual machines", "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)"),
    Attack("the kernel's crypto", "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)"),
    Attack("a child that connects", """
code = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
subprocess.run([sys.executable, "-c", code], check=True)
""", FAILED),
    Attack("TCP that does not look so", "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)"),  # multipath
    Attack("data before a connection", """
socket.socket().sendto(b"GET / HTTP/1.0\\r\\n\\r\\n", 0x20000000, ("127.0.0.1", broker_port))
"""),
    Attack("a port to be found at", "socket.create_server(('127.0.0.1', 0))", succeeds=True),
]  # fmt: skip

LIST: list[Attack] = [
    Attack("the broker's port", "socket.create_connection(('127.0.0.1', broker_port))"),
    Attack("the metadata service", "socket.socket().connect(('169.254.169.254', 80))"),
    Attack("a datagram", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"),
    Attack("TCP that does not look so", "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)"),
    Attack("data before a connection", """
socket.socket().sendto(b"GET / HTTP/1.0\\r\\n\\r\\n", 0x20000000, ("127.0.0.1", broker_port))
"""),
    Attack("a message before a connection", """
socket.socket().sendmsg([b"GET / HTTP/1.0\\r\\n\\r\\n"], [], 0x20000000, ("127.0.0.1", broker_port))
"""),
    Attack("a port to be found at", "socket.create_server(('127.0.0.1', 0))"),
]  # fmt: skip
"""What is refused where some ports are allowed."""

EXCESS: list[Attack] = [
    Attack("memory", "hoard = bytearray(400_000_000)", "MemoryError"),
    Attack("memory, in pieces", "hoard = [bytearray(8_000_000) for _ in range(60)]", "MemoryError"),
    Attack("memory in a file", """
f = os.memfd_create("hoard")
while True: os.write(f, bytes(4_000_000))
""", "OSError.*Errno 27"),
    Attack("a disk", """
with open("hoard", "wb") as f:
    while True: f.write(bytes(4_000_000))
""", "OSError.*Errno 27"),
    Attack("descriptors", "hoard = [os.open('/dev/null', 0) for _ in range(70_000)]", "OSError.*Errno 24"),
    Attack("threads", """
end = threading.Event()
try:
    for _ in range(200): threading.Thread(target=end.wait, daemon=True).start()
finally:
    end.set()
""", "RuntimeError|MemoryError"),
    Attack("processes", """
born = []
try:
    for _ in range(200):
        if (pid := os.fork()) == 0:
            signal.pause()
        born.append(pid)
finally:
    for pid in born: os.kill(pid, signal.SIGKILL)
    for pid in born: os.waitpid(pid, 0)
""", "BlockingIOError"),
    Attack("output", "for _ in range(400): print('x' * 10_000)\nraise EOFError", "EOFError"),
    Attack("recursion", "def f(): return f() + f()\nf()", "RecursionError"),
    Attack("a giant error", "raise ValueError('x' * 1_000_000)", "ValueError"),
]  # fmt: skip
"""What one session may take of what all share."""
