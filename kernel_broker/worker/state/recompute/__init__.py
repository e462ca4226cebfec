"""`recompute`: what a move loses is made again by running its cells again, where that changes nothing else.

Off, unless the session, its broker or `%recompute on` says otherwise. What lives only in its process
cannot be looked into: any cell that had to do with it may have changed it. So it has a *story* (`book`): the
cell that made it, and every later one that could reach it, told by the static look at code that the engine
goes by anyway. Objects that one cell had to do with share a story from then on. Of each of its cells, the
source is kept, and a fingerprint of everything it could read, as that was before it ran (`text`, `inputs`,
`recorder`). What the text of a cell cannot tell (threads beside it, `exec`, hooks, magics, a failure) is an
*obstacle*: a story that has one is not told again.

After a move, before the first cell that names a lost variable (`maker`):

1. Every input of every cell of its story must be what it was then.
2. Rehearsal: a forked child runs the cells, in order, in its copy of the namespace. It can write no file,
   start no thread or process, use no network, reach none of the worker's open files and connections
   (`guard`), and is killed after a time. The lost names must come out bound to objects of the types they
   had; other names that the cells bound, and nobody since, must come out as they are; and all other state
   of the session must be what it was before (`rehearsal`).
3. Only then the worker runs them, in the namespace itself, which is put back at once (`replay`). Of what they
   bound, only the lost names are taken; they also take the tombstone's place in lists, dicts and attributes.

What is refused stays lost, and its error says why. Not seen, and so not guarded against: whether files and
the clock say what they said when a cell first ran, and what C code does to the world outside by itself.
"""
