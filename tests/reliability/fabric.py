"""An event loop without a kernel: its clock jumps, its network is memory, and a process on it can be cut off.

No descriptor and no thread belongs to it, so that it goes on in a fork as if nothing had been. What runs is
told apart by a context variable: the handles of a `Process` are counted as its steps, and those of a dead one
are dropped. Bytes that were sent are delivered whatever becomes of the sender.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from random import Random
from socket import socket
from typing import Any, Self

from anyio._backends import _asyncio as backend

CREEP_S = 1e-6  # each turn of the loop takes so long: whoever waits for the clock by turning would never end
THREAD_S = 0.0002  # what a thread is given to do takes so long to begin

OWNER: ContextVar["Process | None"] = ContextVar("owner", default=None)


@dataclass(eq=False)
class Process:
    """One run of the program: its steps are counted, and `at_step` is called before each of them."""

    at_step: Callable[["Process"], None] = lambda _: None
    step_count: int = 0
    is_dead: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    sent_count: int = 0  # writes to the network
    _remains: list[Any] = field(default_factory=list)

    def start(self, loop: "Fabric", coroutine: Any) -> asyncio.Task[Any]:
        """Begin a coroutine as this process."""
        context = copy_context()
        context.run(OWNER.set, self)
        task = loop.create_task(coroutine, context=context)
        task.add_done_callback(lambda _: self.ended.set(), context=Context())
        return task

    def kill(self, loop: "Fabric") -> None:
        """Let nothing of it run any more, not even what is done at its end; its sockets are closed for it."""
        self.is_dead = True
        # What nobody refers to is collected, and a coroutine that is collected runs its `finally`.
        self.keep(asyncio.all_tasks(loop))
        loop.close_sockets_of(self)
        self.ended.set()

    def keep(self, *what: Any) -> None:
        """Keep remains from being collected."""
        self._remains.extend(what)


class Fabric(asyncio.BaseEventLoop):
    """The loop. `delay_s` is the least and the most that bytes are under way, in seconds, drawn by `seed`."""

    def __init__(self, seed: int = 0, delay_s: tuple[float, float] = (0.02, 0.12)) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.outside_count = 0  # steps of what is no process: the service and the network
        self.listening: dict[int, _Listener] = {}
        self.ends: set[End] = set()
        self.connecting: dict[socket, int] = {}
        self._delay_s, self._rng = delay_s, Random(f"network {seed}")
        self._ready: Any = _Ready(self)
        self._selector: Any = _Jumper(self)
        self._nobody = Context()

    def time(self) -> float:
        """Return the virtual seconds."""
        return self.now_s

    def delay(self) -> float:
        """Draw how long bytes are under way."""
        return self._rng.uniform(*self._delay_s)

    def run_threads_inline(self) -> None:
        """Let what is given to anyio's threads be done on the loop, each in a step of its own."""
        backend._threadpool_workers.set(set())
        backend._threadpool_idle_workers.set(_Inline(self))  # type: ignore[arg-type]

    def deliver(self, delay_s: float, what: Callable[..., None], *args: Any) -> asyncio.TimerHandle:
        """Do something for nobody, later: what is under way arrives although its sender be dead."""
        return self.call_later(delay_s, what, *args, context=self._nobody)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Let what is given to other threads be done on the loop too: a fork has none of them."""
        future = self.create_future()
        self.call_later(THREAD_S, _do, copy_context(), func, args, future)
        return future

    # ------------------------------------------------------------ what a kernel would do

    async def sock_connect(self, sock: socket, address: Any) -> None:
        """Reach a port, or be refused."""
        await asyncio.sleep(2 * self.delay())
        if address[1] not in self.listening:
            raise ConnectionRefusedError(111, "Connection refused")
        self.connecting[sock] = address[1]

    async def create_connection(self, factory: Any, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        """Join a client's protocol to a server's."""
        sock = options["sock"]
        port = self.connecting.pop(sock)
        sock.close()
        listener = self.listening.get(port)
        if listener is None:
            raise ConnectionRefusedError(111, "Connection refused")
        here, there = End(self, OWNER.get(), port), End(self, listener.owner, port)
        here.peer, there.peer = there, here
        protocol = factory()
        here.begin(protocol, copy_context())
        self.deliver(self.delay(), there.accept, listener)
        return here, protocol

    async def create_server(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:  # type: ignore[override]
        """Listen at a port, a free one for 0."""
        number = port or 40_000 + len(self.listening)
        listener = _Listener(self, factory, number, copy_context(), OWNER.get())
        self.listening[number] = listener
        return listener

    def close_sockets_of(self, process: Process) -> None:
        """Close what a dead process has left open."""
        for end in [end for end in self.ends if end.owner is process]:
            end.cut()
        for port in [port for port, listener in self.listening.items() if listener.owner is process]:
            del self.listening[port]

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody is ever waited for that would have to be woken."""


class _Ready(deque[asyncio.Handle]):
    """The queue of what is to run now: counts the steps of processes and drops those of dead ones."""

    def __init__(self, loop: Fabric) -> None:
        super().__init__()
        self._loop = loop

    def popleft(self) -> asyncio.Handle:
        handle = super().popleft()
        context: Context | None = getattr(handle, "_context", None)
        owner = None if context is None else context.get(OWNER)
        if owner is None:
            self._loop.outside_count += 1
            return handle
        if not owner.is_dead and not handle.cancelled():
            owner.step_count += 1
            owner.at_step(owner)
        if not owner.is_dead:
            return handle
        owner.keep(handle)
        nothing = asyncio.Handle(int, (), self._loop)
        nothing.cancel()
        return nothing


class _Jumper:
    """In the place of a selector: nothing ever comes from outside, so the clock goes on to the next timer."""

    def __init__(self, loop: Fabric) -> None:
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits, and for nothing")
        self._loop.now_s += max(timeout, CREEP_S)
        return []


class _Inline:
    """In the place of anyio's idle threads: there is always one, and it works on the loop."""

    idle_since = float("inf")

    def __init__(self, loop: Fabric) -> None:
        self._loop = loop
        self.queue = self

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, _: int) -> Self:
        return self

    def pop(self) -> Self:
        """Give a thread that is idle."""
        return self

    def put_nowait(self, work: tuple[Context, Callable[..., Any], tuple[Any, ...], Any, Any]) -> None:
        """Take up some work."""
        self._loop.call_later(THREAD_S, _do, *work)


def _do(
    context: Context,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    future: asyncio.Future[Any],
    _: Any = None,
) -> None:
    """Do what a thread was to do, and tell whoever waits."""
    try:
        result = context.run(function, *args)
    except BaseException as error:  # noqa: BLE001 it is whoever waits that it is for
        if not future.cancelled():
            future.set_exception(error)
    else:
        if not future.cancelled():
            future.set_result(result)


@dataclass(eq=False)
class _Listener:
    """A port that is listened at; the server and its socket in one."""

    loop: Fabric
    factory: Callable[[], Any]
    port: int
    context: Context
    owner: Process | None

    @property
    def sockets(self) -> tuple[Self]:
        """What it listens with."""
        return (self,)

    def getsockname(self) -> tuple[str, int]:
        """Return where it listens."""
        return "127.0.0.1", self.port

    def close(self) -> None:
        """Listen no longer."""
        self.loop.listening.pop(self.port, None)

    async def wait_closed(self) -> None:
        """Wait for nothing."""


class End(asyncio.Transport):
    """One end of a connection. What it writes reaches its peer in order, each part after a delay."""

    peer: "End"

    def __init__(self, loop: Fabric, owner: Process | None, port: int) -> None:
        super().__init__()
        self._loop, self.owner, self._port = loop, owner, port
        self._protocol: Any = None
        self._context = Context()
        self._arrives_at = 0.0
        self._is_closing = self._is_paused = False
        self._inbox: deque[bytes | None] = deque()

    def begin(self, protocol: Any, context: Context) -> None:
        """Be open from now on."""
        self._protocol, self._context = protocol, context
        self._loop.ends.add(self)
        context.run(protocol.connection_made, self)

    def accept(self, listener: _Listener) -> None:
        """Be the server's end of a new connection, if it still listens."""
        if self._loop.listening.get(listener.port) is listener:
            self.begin(listener.factory(), listener.context.copy())
            self._read()
        else:
            self._is_closing = True
            self._send(None)

    def _send(self, data: bytes | None) -> None:
        """Put bytes, or the end of them, under way."""
        self._arrives_at = max(self._arrives_at, self._loop.time() + self._loop.delay())
        self._loop.deliver(self._arrives_at - self._loop.time(), self.peer.arrive, data)

    def arrive(self, data: bytes | None) -> None:
        """Take what has come, None for its end; nobody takes what comes for a dead process."""
        if self.owner is None or not self.owner.is_dead:
            self._inbox.append(data)
            self._loop.call_soon(self._read, context=self._context)

    def _read(self) -> None:
        while self._inbox and self._protocol is not None and not self._is_paused and not self._is_closing:
            data = self._inbox.popleft()
            if data is not None:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()

    def cut(self) -> None:
        """Be closed by the kernel, as its process is dead."""
        self._loop.ends.discard(self)
        if not self._is_closing:
            self._is_closing = True
            self._send(None)

    # ------------------------------------------------------------ what asyncio asks of a transport

    def write(self, data: Any) -> None:
        """Send bytes."""
        if data and not self._is_closing:
            if self.owner is not None:
                self.owner.sent_count += 1
            self._send(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        """Send parts as one."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Close this end; its peer sees it after what was sent before."""
        if not self._is_closing:
            self._is_closing = True
            self._loop.ends.discard(self)
            self._send(None)
            self._loop.call_soon(self._protocol.connection_lost, None, context=self._context)

    def abort(self) -> None:
        """Close it the same way: nothing is ever left in a buffer here."""
        self.close()

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self._is_closing

    def pause_reading(self) -> None:
        """Let what comes wait."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Go on taking what has come."""
        self._is_paused = False
        self._loop.call_soon(self._read, context=self._context)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the addresses."""
        known: Mapping[str, Any] = {
            "peername": ("127.0.0.1", self._port),
            "sockname": ("127.0.0.1", self._port),
        }
        return known.get(name, default)

    def set_protocol(self, protocol: Any) -> None:
        """Change the protocol."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Return the protocol."""
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def get_write_buffer_size(self) -> int:
        """Return what is in the buffer: nothing ever is."""
        return 0

    def can_write_eof(self) -> bool:
        """Tell whether one end may be closed alone."""
        return False
