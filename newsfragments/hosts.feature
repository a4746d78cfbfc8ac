A group runs its hosts from the command line: `tm hosts list|info|change|activate|deactivate|drain|lost|leave|return|remove` (and `addhost`, `changehost`, … with `hSend`)
change `etc/ComputerCluster.config` while everything runs and keep its comments; every change, and what a `reload` finds, is recorded (`tm hosts audit`) and can be
undone (`tm hosts undo`). Hosts have groups, features, consumables, service hours, owners and a policy for when others need them.
