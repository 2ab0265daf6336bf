"""The agent's ends of the sockets to its zygote and workers, waited for as one."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator

from gpu_queue.keepalive.protocol import BadMessage, Channel, Message


class Exchange:
    """Channels that are open, and what has come on them; nothing here waits."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._epoll = select.epoll()

    @property
    def fd(self) -> int:
        """Readable when one of the channels is."""
        return self._epoll.fileno()

    def add(self, channel: Channel) -> None:
        """Listen on it from now on."""
        self._epoll.register(channel.fileno(), select.EPOLLIN)

    def drop(self, channel: Channel) -> None:
        """Close it; one that is closed stays so."""
        if channel.fileno() >= 0:
            self._epoll.unregister(channel.fileno())
            channel.close()

    def ready(self) -> set[int]:
        """The descriptors of channels on which something has come, be it their end."""
        return {descriptor for descriptor, _ in self._epoll.poll(0)}

    def messages(self, channel: Channel) -> Iterator[Message]:
        """What has come on a channel.

        Raises:
            Closed: when all is read, and no more can come.
        """
        while True:
            try:
                message = channel.receive()
            except BadMessage as error:
                self._say(f"keep-alive: a message that is none: {error}")
                continue
            if message is None:
                return
            yield message

    def close(self) -> None:
        """The channels are closed before."""
        self._epoll.close()
