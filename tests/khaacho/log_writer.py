"""`python -m tests.khaacho.log_writer LINES MOST_BYTES`: writes to every log file, and so does a child of it.

The child is forked after the files were opened. Each line carries who wrote it and its number.
"""

import logging
import os
import sys

import django


def write(lines: int) -> None:
    who = os.getpid()
    for number in range(lines):
        fact = {"writer": who, "number": number, "filler": "x y " * 40}
        logging.getLogger("orders.events").info("OrderPlaced", extra={**fact, "order_id": number})
        logging.getLogger("whatsapp.api").info("whatsapp.received", extra=fact)
        logging.getLogger("khaacho.rejections").info("request.rejected", extra=fact)
        logging.getLogger("khaacho.slow_queries").warning("query.slow", extra=fact)
        logging.getLogger("khaacho.jobs").error("job.dead", extra=fact)


def main() -> None:
    lines, most_bytes = (int(each) for each in sys.argv[1:])
    django.setup()
    from khaacho import log_files  # noqa: PLC0415 - after django.setup()

    for each in log_files.files():
        each.most_bytes = most_bytes
    logging.getLogger("khaacho.jobs").info("opened")
    child = os.fork()
    write(lines)
    lost = sum(each.lost for each in log_files.files())
    if child == 0:
        os._exit(bool(lost))
    _, status = os.waitpid(child, 0)
    sys.exit(bool(lost or status))


if __name__ == "__main__":
    main()
