"""Tasks for staff about late dues: done by a person, or void when the money comes."""

from khaacho import audit, sql
from khaacho.actors import Actor, act, require_staff
from khaacho.exceptions import Conflict, Invalid, NotFound
from khaacho.transactions import verb
from payments.enums import TaskState
from payments.models import CollectionTask


@verb
def finish_task(*, task_id: int, outcome: str, actor: Actor) -> CollectionTask:
    """Close an open task with what came of it. Staff. Locks it. Raises Invalid, NotFound, Conflict."""
    if not outcome.strip():
        raise Invalid(errors={"outcome": ["Say what came of it."]})
    act(actor, outcome)
    require_staff(actor)
    task = (
        CollectionTask.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk=task_id)
        .first()
    )
    if task is None:
        raise NotFound
    if task.state != TaskState.OPEN:
        raise Conflict(f"This task is {task.state.lower()}.")
    sql.execute(
        "UPDATE collection_tasks SET state = 'DONE', outcome = %s, done_by_id = %s, done_at = now()"
        " WHERE id = %s",
        [outcome[:300], actor.user_id, task_id],
    )
    audit.record(
        actor,
        "task.finished",
        entity_type="collection_task",
        entity_id=task_id,
        reason=outcome,
    )
    task.refresh_from_db()
    return task


OWES = (
    "CASE WHEN t.order_id IS NULL THEN EXISTS (SELECT FROM orders o"
    " WHERE o.retailer_id = t.retailer_id AND o.due_date IS NOT NULL AND o.due_amount > 0)"
    " ELSE EXISTS (SELECT FROM orders o WHERE o.id = t.order_id AND o.due_amount > 0) END"
)


@verb
def void_tasks(*, retailer_id: int) -> int:
    """Close the shop's open tasks about what is paid; return how many. One statement."""
    return sql.execute(
        "UPDATE collection_tasks SET state = 'VOID', outcome = 'paid', done_at = now()"
        " WHERE id = ANY (ARRAY(SELECT t.id FROM collection_tasks t WHERE t.retailer_id = %s"
        f" AND t.state = 'OPEN' AND NOT {OWES} ORDER BY t.id FOR NO KEY UPDATE))",
        [retailer_id],
    )


@verb
def reopen_tasks(*, retailer_id: int) -> int:
    """Open tasks again that were void by a payment since taken back; return how many. One statement."""
    return sql.execute(
        "UPDATE collection_tasks SET state = 'OPEN', outcome = '', done_at = NULL"
        " WHERE id = ANY (ARRAY(SELECT t.id FROM collection_tasks t WHERE t.retailer_id = %s"
        f" AND t.state = 'VOID' AND {OWES} ORDER BY t.id FOR NO KEY UPDATE))",
        [retailer_id],
    )
