"""Composition roots: each module here reads options, builds a server out of model, daemon and adapters, joins them.

With `tm.cli` the only modules that know everything.
"""
