Programs get the data of the web interface as JSON below `/api/v1/`, with tokens of `tm token create`: jobs page by page, output, orders,
hosts, people, properties, log, events; `docs/openapi.json` describes it and is served, too.
