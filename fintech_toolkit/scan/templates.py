"""The text that compiled loops are put together from; `loops.py` says how."""

from __future__ import annotations

ROOM = """\
if s.count >= s.capacity:
    slots = grow_ring(s, slots, used, max(16, 2 * s.capacity))
"""

# A full ring ends the loop over the ticks, before its row has changed anything that it would change again: were the
# pool replaced within that loop, each row would count references to it.
FULL = """\
if s.count >= s.capacity:
    break
"""

LOOP = """\
def {name}({header}):
    for i in range(codes.shape[0]):
{body}
    return slots
"""

# Unsigned, so that no row asks whether its index counts from the end.
LOOP_WITH_SLOTS = """\
def {name}({header}):
    begin, end = np.uint64(0), np.uint64(codes.shape[0])
    while True:
        for i in range(begin, end):
{body}
        else:
            return slots
        slots = grow_ring(s, slots, used, {capacity})
{regrown}
        begin = i
"""

EMIT = """\
again = False
while True:
    if k == rows.shape[0]:
        rows = grow_rows(rows)
        code = grow_rows(code)
        at = grow_rows(at)
{room}
    if not {call}:
        break
    code[k] = codes[i]
    at[k] = i
    k += 1
    again = True
"""

# `flushing`: codes are the symbols to flush, each once, and no tick is read.
EVENT_LOOP = """\
def {name}(flushing, rows, {header}):
    code = np.empty(rows.shape[0], np.uint32)
    at = np.empty(rows.shape[0], np.int64)
    k = 0
    for i in range(codes.shape[0]):
        if flushing:
{flush}
        else:
{body}
    return slots, rows[:k], code[:k], at[:k]
"""

REBUILD = """\
s.age = 0
{clear}
for j in range(s.count):
    k = nth_slot(s, j)
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
if s.count == s.capacity:
    break
{values}
k = nth_slot(s, s.count)
{write}
s.count += 1
{enter}
"""

# A full ring is as long as its window, so the newest value takes the slot of the oldest.
WINDOW_BY_ROWS = """\
if s.count == p_window:
    k = s.start + s.head
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
while s.count > 0 and slots[s.start + s.head].ts <= edge:
    k = s.start + s.head
    advance(s)
    s.count -= 1
    s.age += 1
{leave}
{push}
"""


SERIES = """\
def {name}({arguments}):
    {inputs}, = {contiguous},
    n = x0.shape[0]
{buffers}
    state, slots, used = np.zeros(1, STATE), np.empty(0, SLOT), np.zeros(1, np.int64)
    loop(np.zeros(n, np.uint32), np.empty(0, np.int64), ts, state, slots, used, {rest})
{stored}
"""
