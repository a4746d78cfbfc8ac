"""Composition roots: each module here reads options, builds one server out of model, daemon and adapters, and joins them.

With `tm.cli` the only modules that know everything.
"""
