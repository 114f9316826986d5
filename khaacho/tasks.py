"""Celery's whole part: workers run the job pointed at; beat sweeps and inserts the jobs of slots."""

from celery import shared_task

from khaacho import jobs, schedules


@shared_task(name="khaacho.run_job")
def run_job(job_id: int) -> bool:
    return jobs.run(job_id)


@shared_task(name="khaacho.sweep")
def sweep() -> int:
    return jobs.sweep()


@shared_task(name="khaacho.tick")
def tick(schedule: str) -> bool:
    return schedules.tick(schedule)
