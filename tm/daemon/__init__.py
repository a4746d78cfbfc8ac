"""The servers: services that turn messages into events for the model, and its effects into calls.

They know ports, not adapters; `tm.tap` puts both together.
"""
