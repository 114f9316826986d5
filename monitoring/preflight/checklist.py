"""The lines in their order: what the others stand on comes first."""

from monitoring.preflight import backups, database, site, work
from monitoring.preflight.lines import Line

LINES = (
    Line("migrations", "This release's migrations are applied", database.migrations),
    Line(
        "indexes",
        "Every index of the models is there and valid, none twice",
        database.indexes_valid,
    ),
    Line("unused-indexes", "Every index is used", database.indexes_used),
    Line("extensions", "The monitoring sees what it needs", database.extensions),
    Line("connections", "The server has room for every connection", database.connections),
    Line("months", "Months are made ahead, and none is half archived", database.months_kept),
    Line("role", "The application is no superuser", database.role),
    Line("clocks", "Clocks agree", database.clocks),
    Line("backup", "A backup was made lately", backups.backup),
    Line("drill", "A backup was restored for a trial lately", backups.drill),
    Line("deploy-checks", "manage.py check --deploy is clean", site.deploy_checks),
    Line("secrets", "Secrets are secret", site.secrets),
    Line("tls", "Everything is served over HTTPS", site.tls),
    Line("names", "The site answers to its names alone", site.names),
    Line("alert-targets", "Somebody is told of alerts", site.alert_targets),
    Line("whatsapp", "Messages are sent, and those received are checked", site.whatsapp),
    Line("static-files", "The admin's files are collected", site.static_files),
    Line("logs", "Logs are written to files", site.logs),
    Line("redis", "Redis forgets no queue", work.redis_keeps_queues),
    Line("beat", "Beat ticks", work.beat),
    Line("workers", "Every queue has a worker", work.workers),
    Line("schedules", "Schedules are those of the code", work.schedule_rows),
    Line("dead-jobs", "No job is dead", work.dead_jobs),
    Line("groups", "Staff have their groups", work.groups),
    Line("fiscal-year", "The fiscal year is known", work.fiscal_year),
    Line("books", "Every invariant holds", work.books),
)
