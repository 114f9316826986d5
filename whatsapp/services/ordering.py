"""The retailer's side of the dialogue: lines make a draft, and only a confirmation makes an order."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction

from khaacho.exceptions import KhaachoError
from khaacho.money import format_npr
from khaacho.rollback import run_after_rollback
from orders import selectors as order_selectors
from orders import services as orders
from orders.enums import OrderSource, PaymentTerms
from orders.models import Order
from orders.selectors import Basket
from orders.services import Line, OrderRequest, Quote
from orders.services.requests import MAX_LINES
from vendors.models import Vendor
from whatsapp import parsing, payloads, selectors, wording
from whatsapp.enums import Direction
from whatsapp.models import WhatsAppMessage
from whatsapp.parsing import Question
from whatsapp.selectors import Listed, Speaker
from whatsapp.services import notices
from whatsapp.services.drafts import Draft, drop_draft, keep_draft, read_draft
from whatsapp.services.sending import Button, Words, reply_key
from whatsapp.texts import say
from whatsapp.wording import OutOfRange

rejections = logging.getLogger("khaacho.rejections")
CREDIT_REFUSALS = frozenset({"credit_limit_exceeded", "credit_on_hold", "account_frozen"})
CREDIT_DESK = frozenset({"credit_limit_exceeded", "credit_on_hold"})  # what an officer may approve
MAX_SUGGESTED = 10  # pieces of one message that are looked up for suggestions
SOURCE_KEY_MAX = 128


@dataclass(frozen=True)
class Reply:
    """What to say, and under which key: a confirmation is also the notice of the order it placed."""

    words: Words
    key: str | None = None


@dataclass(frozen=True)
class Turn:
    """One retailer's message, being answered."""

    speaker: Speaker
    conversation_id: int
    message: WhatsAppMessage

    def say(self, text: str, /, **values: object) -> str:
        return say(self.speaker.language, text, **values)

    def button(self, choice: str, title: str) -> Button:
        return Button(choice, self.say(f"button_{title}"))


class TotalRose(Exception):
    """The order would cost more than the retailer was shown."""


def answer_retailer(turn: Turn) -> Reply:
    """Do what a retailer's message asks and return the reply. Locks what placing an order locks."""
    choice, text = payloads.choice(turn.message.payload), turn.message.body
    if choice == "confirm" or (not choice and parsing.is_confirmation(text)):
        return _confirm(turn, PaymentTerms.CREDIT)
    if choice == "cash" or (not choice and parsing.is_cash_confirmation(text)):
        return _confirm(turn, PaymentTerms.CASH)
    if choice == "cancel" or (not choice and parsing.is_cancellation(text)):
        return _cancel(turn)
    if choice or not text.strip():
        return _reply(turn.say("retailer_help"))
    return _take_lines(turn, text)


def _reply(*rows: str, buttons: Iterable[Button] = ()) -> Reply:
    return Reply(Words(body="\n".join(row for row in rows if row), buttons=tuple(buttons)))


def _take_lines(turn: Turn, text: str) -> Reply:
    """Merge the lines of a message into the draft: a product named again gets the new quantity."""
    found = parsing.pieces(text)
    if len(found) > MAX_LINES:
        return _reply(turn.say("too_many_lines", maximum=MAX_LINES))
    listed = selectors.listed(parsing.candidates(found), beginning=parsing.beginnings(found))
    wanted = parsing.resolve(found, listed.keys())
    items, out_of_range = _within_range(wanted.lines, listed)
    asked = _questions(turn, [*wanted.questions, *out_of_range])
    if not items:
        return _reply(*asked, turn.say("retailer_help"))
    draft, expired = read_draft(turn.conversation_id)
    note = turn.say("earlier_draft_expired") if expired else ""
    before = draft.items if draft is not None and not expired else {}
    merged = {**before, **items}
    if len(merged) > MAX_LINES:
        return _reply(turn.say("too_many_lines", maximum=MAX_LINES))
    return _summarise(turn, merged, *asked, note)


def _within_range(
    lines: Iterable[parsing.Line], listed: Mapping[str, Listed]
) -> tuple[dict[int, int], list[OutOfRange]]:
    items, wrong = {}, []
    for line in lines:
        product = listed[line.sku]
        if product.min_quantity <= line.quantity <= product.max_quantity:
            items[product.product_id] = line.quantity
        else:
            text = f"{product.sku} x {line.quantity}"
            limits = (product.min_quantity, product.max_quantity)
            wrong.append(OutOfRange(text, product.sku, *limits))
    return items, wrong


def _questions(turn: Turn, asked: list[Question | OutOfRange]) -> list[str]:
    """Say back what was not understood; words without a number and without a likeness are chat."""
    unknown = [q.text for q in asked if isinstance(q, Question) and not q.sku]
    suggestions = selectors.suggestions(unknown[:MAX_SUGGESTED]) if unknown else {}
    told = [
        q
        for q in asked
        if isinstance(q, OutOfRange)
        or q.sku
        or q.text in suggestions
        or any(character.isdigit() for character in q.text)
        or len(asked) > 1
    ]
    return wording.questions(turn.speaker.language, told, suggestions)


def _summarise(turn: Turn, items: Mapping[int, int], *notes: str) -> Reply:
    """Keep the draft and return what it would be as an order now: lines, prices, credit, vendor."""
    items, gone = _still_sold(turn, items)
    if not items:
        drop_draft(turn.conversation_id)
        return _reply(*notes, gone, turn.say("retailer_help"))
    request = _request(turn, items, PaymentTerms.CREDIT)
    try:
        quote = orders.quote_order(request, actor=turn.speaker.actor)
    except KhaachoError as error:
        return _reply(*notes, gone, *_refusal(turn, error))
    total = quote.basket.total if quote.basket else None
    keep_draft(turn.conversation_id, Draft(items, total, shown_for=turn.message.pk))
    rows = _bill(turn, quote, items)
    if not quote.refusals:
        buttons = [turn.button("confirm", "confirm"), turn.button("cancel", "cancel")]
        return _reply(*notes, gone, *rows, turn.say("confirm_or_cancel"), buttons=buttons)
    reasons = [turn.say("refused_as_it_stands")]
    for refusal in quote.refusals:
        reasons += _refusal(turn, refusal)
    ending, buttons = _way_out(turn, {refusal.code for refusal in quote.refusals})
    return _reply(*notes, gone, *rows, *reasons, ending, buttons=buttons)


def _still_sold(turn: Turn, items: Mapping[int, int]) -> tuple[dict[int, int], str]:
    """Leave out products that were taken off the catalogue since, and say so."""
    gone = order_selectors.unknown_products(list(items))
    if not gone:
        return dict(items), ""
    skus = ", ".join(sorted(selectors.skus(gone).values()))
    rest = {product: packs for product, packs in items.items() if product not in gone}
    return rest, turn.say("no_longer_sold", skus=skus)


def _request(turn: Turn, items: Mapping[int, int], terms: PaymentTerms) -> OrderRequest:
    assert turn.speaker.retailer_id is not None
    return OrderRequest(
        retailer_id=turn.speaker.retailer_id,
        lines=tuple(Line(product, packs) for product, packs in items.items()),
        payment_terms=terms,
    )


def _bill(turn: Turn, quote: Quote, items: Mapping[int, int]) -> list[str]:
    basket = quote.basket
    if basket is None:
        return [turn.say("draft_heading"), *_unpriced(turn, items)]
    priced = {line.product_id for line in basket.lines}
    return [
        turn.say("draft_heading"),
        *wording.bill(
            turn.speaker.language,
            wording.basket_lines(basket),
            tax_amount=basket.tax_amount,
            total=basket.total,
        ),
        *_unpriced(turn, {p: packs for p, packs in items.items() if p not in priced}),
        turn.say("credit_left", amount=format_npr(quote.standing.available)),
        turn.say("vendor", name=_vendor_name(turn, basket)),
    ]


def _unpriced(turn: Turn, items: Mapping[int, int]) -> list[str]:
    """Lines that the vendor shown does not offer: wanted, and not in the total."""
    skus = selectors.skus(items) if items else {}
    return [turn.say("line_unpriced", quantity=n, sku=skus[p]) for p, n in items.items()]


def _vendor_name(turn: Turn, basket: Basket) -> str:
    return wording.vendor_name(Vendor.objects.get(pk=basket.vendor_id), turn.speaker.language)


def _way_out(turn: Turn, codes: set[str]) -> tuple[str, list[Button]]:
    """Cash where only credit stands in the way, else a change."""
    if not codes <= CREDIT_REFUSALS:
        return turn.say("change_or_cancel"), [turn.button("cancel", "cancel")]
    buttons = [
        turn.button("cash", "cash"),
        turn.button("confirm", "ask"),
        turn.button("cancel", "cancel"),
    ]
    return turn.say("cash_or_ask"), buttons


def _confirm(turn: Turn, terms: PaymentTerms) -> Reply:
    """Place the draft at today's prices, stock and credit, unless it costs more than was shown."""
    draft, expired = read_draft(turn.conversation_id)
    if draft is None:
        return _reply(turn.say("nothing_to_confirm"), turn.say("retailer_help"))
    if expired:
        drop_draft(turn.conversation_id)
        return _reply(turn.say("draft_expired"))
    if _answers_older_summary(turn, draft):
        return _summarise(turn, draft.items, turn.say("older_summary"))
    if draft.shown_total is None or order_selectors.unknown_products(list(draft.items)):
        return _summarise(turn, draft.items)
    try:
        order = _place(turn, draft, terms)
    except TotalRose:
        return _summarise(turn, draft.items, turn.say("price_changed"))
    except KhaachoError as error:
        run_after_rollback(error)
        rejections.info("order.refused", extra={"code": error.code, "status": error.status})
        return _refused(turn, error)
    drop_draft(turn.conversation_id)
    words = notices.order_placed(order, turn.speaker.language)
    return Reply(words, notices.placed_key(order.pk))


def _answers_older_summary(turn: Turn, draft: Draft) -> bool:
    """Whether the button tapped stands under another message of ours than the draft's last summary."""
    answered = payloads.answered_id(turn.message.payload)
    if not answered:
        return False
    ours = WhatsAppMessage.objects.filter(
        provider_message_id=answered, conversation_id=turn.conversation_id, direction=Direction.OUT
    )
    return ours.exists() and not ours.filter(key=reply_key(draft.shown_for)).exists()


@transaction.atomic
def _place(turn: Turn, draft: Draft, terms: PaymentTerms) -> Order:
    """Place the order in a savepoint: what is refused leaves nothing but its refusal. Raises TotalRose."""
    order = orders.place_order(
        _request(turn, draft.items, terms),
        actor=turn.speaker.actor,
        source=OrderSource.WHATSAPP,
        source_key=_source_key(turn.message),
    )
    if draft.shown_total is None or order.total > draft.shown_total:
        raise TotalRose
    return order


def _source_key(message: WhatsAppMessage) -> str:
    """The message's id, which an order may carry once; a hash of it where it is too long."""
    key = message.provider_message_id or ""
    return key if len(key) <= SOURCE_KEY_MAX else hashlib.sha256(key.encode()).hexdigest()


def _refused(turn: Turn, error: KhaachoError) -> Reply:
    """A refusal that the credit desk may overrule takes the draft with it, lest there be two orders."""
    if error.code in CREDIT_DESK:
        drop_draft(turn.conversation_id)
        ending = turn.say("kept_for_credit_desk")
    else:
        ending = turn.say("change_or_cancel")
    return _reply(turn.say("refused_heading"), *_refusal(turn, error), ending)


def _refusal(turn: Turn, error: KhaachoError) -> list[str]:
    concerned = [line["product_id"] for line in wording.concerned(error)]
    skus = selectors.skus(concerned) if concerned else {}
    return wording.refusal(turn.speaker.language, error, skus)


def _cancel(turn: Turn) -> Reply:
    draft, expired = read_draft(turn.conversation_id)
    drop_draft(turn.conversation_id)
    if draft is None or expired:
        return _reply(turn.say("nothing_to_cancel"))
    return _reply(turn.say("draft_cancelled"))
