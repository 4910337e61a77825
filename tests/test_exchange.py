"""How long is waited for what a kernel still has to say."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from nbflow.engines.exchange import Exchange

SILENCE = 0.2


async def ask(outputs: int, *, done: bool) -> bool:
    """After a reply: so many outputs at a third of the silence from each other, then, where *done*, the kernel's idle."""
    loop = asyncio.get_running_loop()
    death, reply = loop.create_future(), loop.create_future()
    kernel, watch = SimpleNamespace(death=death), SimpleNamespace(wanted=loop.create_future())
    exchange = Exchange(cast(Any, kernel), cast(Any, watch))
    exchange._replies["m"] = reply
    reply.set_result({})
    await exchange.wait_for_reply("m", 1)

    def say(left: int) -> None:
        if left:
            exchange.note_output()
            loop.call_later(SILENCE / 3, say, left - 1)
        elif done:
            exchange.note_idle("m")

    say(outputs)
    return await exchange.wait_for_idle("m", SILENCE)


def test_outputs_that_come_for_longer_than_the_silence_are_waited_for() -> None:
    assert asyncio.run(ask(10, done=True))


def test_a_kernel_that_falls_silent_is_not_waited_for() -> None:
    assert not asyncio.run(ask(3, done=False))
