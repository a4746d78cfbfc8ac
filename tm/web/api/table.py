"""All endpoints there are."""

from __future__ import annotations

from tm.web.api.endpoint import Endpoint
from tm.web.api.table_cluster import DISPATCHER, HOSTS, PEOPLE
from tm.web.api.table_jobs import JOBS

TABLE: tuple[Endpoint, ...] = (*JOBS, *HOSTS, *PEOPLE, *DISPATCHER)
