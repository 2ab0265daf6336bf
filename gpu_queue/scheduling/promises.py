"""What tries have taken of the memory of their cards, and what of it was promised to them.  Pure.

Memory that was promised and is not taken yet is nobody else's; what is taken is no longer free, as the driver tells.
So it is counted once only where it is known what is taken: by the processes of a try, where the driver tells them,
and else by what the use of the card has grown since the try came, where it is alone on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gpu_queue.scheduling.tenancy import Tenant


def taken_bytes(
    claims: Collection[str],
    tenants: Sequence[Tenant] | None,
    used_bytes: int | None,
    before_bytes: Mapping[str, int],
) -> dict[str, int]:
    """What each try has taken of a card, by the name of its claim; nobody can tell of those that are missing.

    Args:
        claims: the tries on it.
        tenants: the processes on it, as they were last seen; None: they could not be told.
        used_bytes: of its memory, without what the keep-alive has; None: it could not be read.
        before_bytes: what was used when each of them was first seen on it.
    """
    # A container may be shown no process at all: then an empty list says nothing.
    if tenants:
        sizes: dict[str, list[int | None]] = {claim: [] for claim in claims}
        for one in tenants:
            if one.claim in sizes:
                sizes[one.claim].append(one.used_bytes)
        return {claim: sum(size or 0 for size in some) for claim, some in sizes.items() if None not in some}
    if len(claims) != 1 or used_bytes is None:
        return {}
    return {claim: max(0, used_bytes - before_bytes[claim]) for claim in claims if claim in before_bytes}


def shown_bytes(
    reserved: Mapping[str, int | None],
    taken: Mapping[str, int],
    tenants: Sequence[Tenant] | None,
    used_bytes: int | None,
) -> dict[str, int]:
    """What of its promise each try has taken; nobody can tell of those that are missing.

    Processes are looked at more seldom than memory is read.  What was freed in between is promised still: together
    they have not taken more than is used now and is not others'.

    Args:
        reserved: what is reserved for each of the tries on a card, by the name of its claim; None: all of it.
        taken: :func:`taken_bytes`.
        tenants: what that was made of.
        used_bytes: as there.
    """
    parts = {claim: part for claim, part in reserved.items() if part is not None and claim in taken}
    shown = {claim: min(taken[claim], part) for claim, part in parts.items()}
    if not tenants or used_bytes is None:
        return shown
    others = sum(one.used_bytes or 0 for one in tenants if one.claim not in taken and not one.is_filler)
    freed = max(0, sum(taken.values()) + others - used_bytes)
    for claim, size in tuple(shown.items()):
        back = min(freed, size)
        shown[claim] = size - back
        freed -= back
    return shown
