"""All that touches network, disk or clock. It translates and decides nothing.

* `gateway`: mail in, on aiosmtpd: `door`, `connections`, `sessions` and `content` are its parts
* `disk`: whether there is room for more
* `courier`: mail out, on aiosmtplib; `workers`: processes for that, each a `worker`, on one of the
  event loops of `loops`; `relay`: the loop over what is due; `housekeeping`: the chores
* `service`: HTTP routes; `sqlite`: every query, with the numbered upgrades in `sql/`;
  `sqlite_upkeep`: those of an operator's commands; `sqlite_troubles`: words when it can't be used
* `metrics`: figures for operators; `sqlite_figures`: the store's; `certificates`: when they end
* `checkup`, `checkup_network`, `checkup_service`: a look over an operator's installation
* `clock`: the only clock; `logs`: event names and counts
"""
