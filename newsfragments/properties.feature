What is set of the cluster as a whole (scheduling, licenses, mail, defaults of hosts) is listed with meaning, unit, default and origin, and changed while everything runs:
`tm properties`, `tm properties set scheduling.half_life=14d licenses.ansys=12`, `tm properties unset mail.sender`; comments of the files stay, every change is recorded and can be
undone. Who changes a host, user, group or property may say what they saw (`was`); should it be other by now, they are told what (`conflict.changed`), and nothing changes.
