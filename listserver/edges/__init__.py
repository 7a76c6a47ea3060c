"""All that touches network, disk or clock. It translates and decides nothing.

* `gateway`: mail in, on aiosmtpd: `door`, `connections`, `sessions` and `content` are its parts
* `courier`: mail out, on aiosmtplib; `relay`: the worker loop
* `service`: HTTP routes; `sqlite`: every query, with the numbered upgrades in `sql/`;
  `sqlite_upkeep`: those of an operator's commands
* `clock`: the only clock; `logs`: event names and counts
"""
