The dispatcher keeps an InfoServer on every active host, with its own account; `lshosts` and `hostinfo` say in one word how
a host is, why, and what brings it back, and how busy ours and others keep it. What a broken or lying InfoServer says is
named and left aside.
