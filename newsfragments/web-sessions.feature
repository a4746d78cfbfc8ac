`hRunJob --web` prints a link that opens the web interface in a browser, once; `tm web sessions` and `tm web end` list and
end sessions, `tm token create`, `list` and `revoke` are for programs that use its API.
