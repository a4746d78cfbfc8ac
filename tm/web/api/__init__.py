"""The interface for programs: the dispatcher's answers as JSON below ``/api/v1/``.

The law: one table of endpoints (`tm.web.api.table`) says all of it; the routes, the OpenAPI document and the tests are
made of that table. What a program may is what the dispatcher lets the person of its token do; nothing is decided here.
"""
