"""Thin clients of the line protocol: ``hRunJob``, ``hRun``, ``hSend``, ``hListen``.

Their law: standard library only, Python 3.8 syntax, and nothing imported that the call at hand does not
need (``ssl`` only where TLS is really spoken, ``subprocess`` only where a server must be started). A client
that starts in 50 ms is used in loops; one that needs half a second is not.
"""
