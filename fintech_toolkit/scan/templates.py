"""The text that compiled loops are put together from; `loops.py` says how."""

from __future__ import annotations

import re

# A full ring ends the loop over the ticks, before its row has changed anything that it would change again: were the
# pool replaced within that loop, each row would count references to it.
FULL = """\
if s.count >= s.capacity:
    break
"""

LOOP = """\
def {name}({header}):
{far}
    for i in range(codes.shape[0]):
{ahead}
{body}
    return slots
"""

# Unsigned, so that no row asks whether its index counts from the end.
LOOP_WITH_SLOTS = """\
def {name}({header}):
{far}
    begin, end = np.uint64(0), np.uint64(codes.shape[0])
    while True:
        for i in range(begin, end):
{ahead}
{body}
        else:
            return slots
        slots = grow_ring(s, slots, used, {capacity})
{regrown}
        begin = i
"""

# Where the states of all symbols are too many for a cache, those of rows to come are fetched from memory meanwhile.
FAR = """\
    far, last = state.shape[0] > {few}, codes.shape[0] - 1"""

AHEAD = """\
if far:
    prefetch(state, codes[min(i + {distance}, last)])"""

AHEAD_WITH_SLOTS = """\
if far:
    prefetch(state, codes[min(i + 2 * {distance}, last)])
    near = state[codes[min(i + {distance}, last)]]
    if near.capacity > 0:
        prefetch(slots, nth_slot(near, near.count))"""

# Where the columns are full, the loop goes back to Python, which has it go on with larger ones from the very call at
# which it was.
EMIT = """\
while True:
    if k == code.shape[0]:
        return slots, i, k, again
{room}
    row = new_row()
    if not {call}:
        break
{store}
    code[k] = codes[i]
    at[k] = i
    k += np.uint64(1)
    again = True
"""

EVENT_ROOM = """\
full = s.count >= s.capacity
if full:
    break
"""

# `flushing`: codes are the symbols to flush, each once, and no tick is read.
EVENT_LOOP = """\
def {name}(flushing, again, begin, k, code, at, {header}):
    for i in range(begin, np.uint64(codes.shape[0])):
        if flushing:
{flush}
        else:
{body}
        again = False
    return slots, np.uint64(codes.shape[0]), k, False
"""

EVENT_LOOP_WITH_SLOTS = """\
def {name}(flushing, again, begin, k, code, at, {header}):
    while True:
        for i in range(begin, np.uint64(codes.shape[0])):
            full = False
            if flushing:
{flush}
            else:
{body}
            if full:
                break
            again = False
        else:
            return slots, np.uint64(codes.shape[0]), k, False
        slots = grow_ring(s, slots, used, max(16, 2 * s.capacity))
        begin = i
"""

REBUILD = """\
s.age = 0
{clear}
for j in range(s.count):
    k = {nth}
{enter}
"""

# How old running sums are: by rows in rounds of the ring, by time in values that have left.
STALE_BY_ROWS = "s.age >= REBUILD_AFTER"
STALE_BY_TIME = "s.age >= REBUILD_AFTER * max(s.count, 8)"

REFRESH = """\
if {stale}:
{rebuild}
"""

PUSH = """\
{room}
{values}
{write}
s.count += 1
{enter}
"""

WRITE = """\
k = nth_slot(s, s.count)
{write}
"""

# A full ring is as long as its window, so the newest value takes the slot of the oldest.
WINDOW_BY_ROWS = """\
if s.count == p_window:
    k = {oldest}
{swap}
    advance(s)
    s.age += s.head == 0
else:
{push}
"""

UNBOUNDED = """\
if p_window == 0:
    {values}
{enter}
else:
{move}
"""

WINDOW_BY_TIME = """\
edge = earlier(ts[i], p_window)
while s.count > 0:
    k = {oldest}
    if {ts} > edge:
        break
    {advance}
    s.count -= 1
    s.age += 1
{leave}
{push}
"""


# One series, from empty state. Its record is on the stack, where nothing else points to it: so it lives in registers. A
# large one would neither, and is kept until the end, which is where it is mentioned again.
RECORD = """\
    s = record()
"""

LARGE_RECORD = """\
    state = np.zeros(1, STATE)
    s = state[0]
"""

# A kernel's own way to do a whole series, if it takes this one.
WHOLE = """\
    if {call}:
        return 0
"""

SERIES = """\
def {name}({header}):
{record}
    for i in range(np.uint64(0), np.uint64(x0.shape[0])):
{body}
{end}
"""

SERIES_WITH_SLOTS = """\
def {name}({header}):
{record}
    slots, used = no_slots(), np.zeros(1, np.int64)
    begin, end = np.uint64(0), np.uint64(x0.shape[0])
    while True:
        for i in range(begin, end):
{body}
        else:
{end}
        slots = grow_ring(s, slots, used, {capacity})
{regrown}
        begin = i
"""


def in_lanes(text: str, lanes: int, between: str = "\n") -> str:
    """Return the text once for each lane, which has a record, parameters and outputs of its own. All lanes do a tick
    before any does the next: while one waits for what its last tick gave, the processor has the others to do.
    """
    if lanes == 1:
        return text
    return between.join(re.sub(r"\b(s|p_\w+|o\d+)\b", rf"\1_{lane}", text) for lane in range(lanes))
