"""How fast the whole chain is, beside the limits of the machine it runs on.

``python3 -m benchmarks`` makes private installations with real daemons, measures, and writes every single
measurement as a line of JSON; ``python3 -m benchmarks.report`` makes the tables of ``docs/performance.md``
of such lines. Nothing here fails because something is slow.

A share is only formed of two measurements of the same round, taken one after the other on the same machine.
"""
