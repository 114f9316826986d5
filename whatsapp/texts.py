"""What we say, in English and Nepali: every text in both, with the same placeholders."""

from typing import Final

ENGLISH: Final = "en"
NEPALI: Final = "ne"

TEXTS: dict[str, dict[str, str]] = {
    "unknown_sender": {
        "en": "Namaste! This number is not registered with Khaacho yet. Please ask your wholesaler or"
        " our office to register your shop.",
        "ne": "नमस्ते! यो नम्बर खाचोमा दर्ता भएको छैन। कृपया आफ्नो थोक विक्रेता वा हाम्रो कार्यालयलाई"
        " पसल दर्ता गर्न भन्नुहोस्।",
    },
    "retailer_help": {
        "en": "To order, send the product code and the quantity, one per line:\nRICE-1KG x 10\n"
        "ATTA-5KG x 2\nReply CONFIRM to place the order or CANCEL to discard it.",
        "ne": "अर्डर गर्न सामानको कोड र संख्या एक-एक लाइनमा पठाउनुहोस्:\nRICE-1KG x 10\n"
        "ATTA-5KG x 2\nअर्डर पक्का गर्न CONFIRM वा रद्द गर्न CANCEL लेख्नुहोस्।",
    },
    "vendor_help": {
        "en": "To answer an offer, send:\nACCEPT ORD-2026-0000123\nDECLINE ORD-2026-0000123 and the"
        " reason",
        "ne": "अर्डरको जवाफ दिन यसरी लेख्नुहोस्:\nACCEPT ORD-2026-0000123\n"
        "DECLINE ORD-2026-0000123 र कारण",
    },
    "draft_heading": {"en": "Your order:", "ne": "तपाईंको अर्डर:"},
    "line": {
        "en": "{quantity} x {sku} {name} @ {price} = {net}",
        "ne": "{quantity} x {sku} {name} @ {price} = {net}",
    },
    "line_unpriced": {
        "en": "{quantity} x {sku}: not offered",
        "ne": "{quantity} x {sku}: पाइँदैन",
    },
    "more_lines": {"en": "… and {count} more lines", "ne": "… र थप {count} लाइन"},
    "vat": {"en": "VAT: {amount}", "ne": "भ्याट: {amount}"},
    "total": {"en": "Total: {amount}", "ne": "जम्मा: {amount}"},
    "credit_left": {"en": "Credit left: {amount}", "ne": "बाँकी उधारो सीमा: {amount}"},
    "vendor": {"en": "Vendor: {name}", "ne": "विक्रेता: {name}"},
    "shop": {"en": "Shop: {name}, {place}", "ne": "पसल: {name}, {place}"},
    "confirm_or_cancel": {
        "en": "Reply CONFIRM or CANCEL.",
        "ne": "पक्का गर्न CONFIRM, रद्द गर्न CANCEL लेख्नुहोस्।",
    },
    "change_or_cancel": {
        "en": "Send new quantities to change the order, or CANCEL.",
        "ne": "अर्डर बदल्न नयाँ संख्या पठाउनुहोस्, वा CANCEL लेख्नुहोस्।",
    },
    "cash_or_ask": {
        "en": "Reply CASH to pay on delivery, CONFIRM to ask our credit desk, or CANCEL.",
        "ne": "पुगेपछि नगद तिर्न CASH, उधारो शाखालाई सोध्न CONFIRM, रद्द गर्न CANCEL लेख्नुहोस्।",
    },
    "no_longer_sold": {
        "en": "No longer sold, so removed: {skus}.",
        "ne": "अब बिक्री हुँदैन, हटाइयो: {skus}।",
    },
    "price_changed": {
        "en": "The total has risen since you saw it, so nothing was ordered yet.",
        "ne": "तपाईंले हेरेपछि जम्मा रकम बढेको छ, त्यसैले अर्डर भएको छैन।",
    },
    "older_summary": {
        "en": "That was an older version of your order, so nothing was ordered yet. This is the current one:",
        "ne": "त्यो पुरानो अर्डर थियो, त्यसैले अर्डर भएको छैन। अहिलेको यस्तो छ:",
    },
    "draft_expired": {
        "en": "Your unconfirmed order is too old and was discarded. Please send the lines again.",
        "ne": "पक्का नगरिएको अर्डर पुरानो भएकाले हटाइयो। कृपया फेरि पठाउनुहोस्।",
    },
    "earlier_draft_expired": {
        "en": "An older unconfirmed order was discarded; this is a new one.",
        "ne": "पुरानो पक्का नगरिएको अर्डर हटाइयो; यो नयाँ हो।",
    },
    "nothing_to_confirm": {
        "en": "There is no order waiting for confirmation.",
        "ne": "पक्का गर्नुपर्ने कुनै अर्डर छैन।",
    },
    "draft_cancelled": {
        "en": "Discarded. Nothing was ordered.",
        "ne": "हटाइयो। केही अर्डर भएको छैन।",
    },
    "nothing_to_cancel": {
        "en": "There is no unconfirmed order to discard.",
        "ne": "हटाउनुपर्ने कुनै अर्डर छैन।",
    },
    "too_many_lines": {
        "en": "An order has at most {maximum} lines; nothing of this message was added.",
        "ne": "एउटा अर्डरमा बढीमा {maximum} लाइन हुन्छ; यो सन्देशबाट केही थपिएन।",
    },
    "questions_heading": {"en": "Not understood, so not ordered:", "ne": "नबुझिएको, अर्डर भएन:"},
    "question_unknown": {
        "en": "• {text}: no such product code",
        "ne": "• {text}: यस्तो सामानको कोड छैन",
    },
    "question_suggestions": {"en": " (did you mean {skus}?)", "ne": " ({skus} भन्न खोज्नुभएको?)"},
    "question_no_quantity": {"en": "• {sku}: how many?", "ne": "• {sku}: कति वटा?"},
    "question_zero": {
        "en": "• {text}: the quantity is zero. How many {sku}?",
        "ne": "• {text}: संख्या शून्य छ। {sku} कति वटा?",
    },
    "question_negative": {
        "en": "• {text}: the quantity is below zero. How many {sku}?",
        "ne": "• {text}: संख्या शून्यभन्दा कम छ। {sku} कति वटा?",
    },
    "question_fraction": {
        "en": "• {text}: only whole packs. How many {sku}?",
        "ne": "• {text}: पूरा प्याक मात्र। {sku} कति वटा?",
    },
    "question_absurd": {
        "en": "• {text}: that is very many. How many {sku}?",
        "ne": "• {text}: यो धेरै भयो। {sku} कति वटा?",
    },
    "question_range": {
        "en": "• {text}: {sku} can be ordered from {minimum} to {maximum}. How many?",
        "ne": "• {text}: {sku} {minimum} देखि {maximum} सम्म अर्डर हुन्छ। कति वटा?",
    },
    "refused_heading": {"en": "Not ordered:", "ne": "अर्डर भएन:"},
    "refused_as_it_stands": {
        "en": "This order cannot be taken as it stands:",
        "ne": "यो अर्डर अहिले यसरी लिन मिल्दैन:",
    },
    "refused_credit_limit_exceeded": {
        "en": "It needs {required} of credit and {available} is left: {shortfall} too much.",
        "ne": "{required} उधारो चाहिन्छ, {available} मात्र बाँकी छ: {shortfall} बढी भयो।",
    },
    "refused_credit_on_hold": {
        "en": "A due is more than {days} days late: new orders on credit are held until it is paid.",
        "ne": "{days} दिनभन्दा पुरानो बक्यौता छ: नतिरेसम्म उधारो अर्डर रोकिएको छ।",
    },
    "refused_account_frozen": {
        "en": "This credit account is frozen until our staff have looked at it.",
        "ne": "हाम्रो कर्मचारीले नहेरेसम्म यो उधारो खाता रोकिएको छ।",
    },
    "refused_retailer_not_approved": {
        "en": "Your shop is not approved yet.",
        "ne": "तपाईंको पसल अझै स्वीकृत भएको छैन।",
    },
    "refused_retailer_blocked": {
        "en": "Your shop is blocked. Please call our office.",
        "ne": "तपाईंको पसल रोकिएको छ। कृपया हाम्रो कार्यालयमा फोन गर्नुहोस्।",
    },
    "refused_vendor_not_approved": {
        "en": "Your business may not trade at the moment. Please call our office.",
        "ne": "तपाईंको व्यवसायले अहिले कारोबार गर्न मिल्दैन। कृपया हाम्रो कार्यालयमा फोन गर्नुहोस्।",
    },
    "refused_account_inactive": {
        "en": "This user is no longer active. Please call our office.",
        "ne": "यो प्रयोगकर्ता अब सक्रिय छैन। कृपया हाम्रो कार्यालयमा फोन गर्नुहोस्।",
    },
    "refused_no_vendor_available": {
        "en": "No vendor can serve every line in these quantities.",
        "ne": "यी सबै सामान यति संख्यामा दिन सक्ने कुनै विक्रेता छैन।",
    },
    "refused_product_unavailable": {
        "en": "A product cannot be had from this vendor.",
        "ne": "यो विक्रेतासँग कुनै सामान छैन।",
    },
    "refused_insufficient_stock": {
        "en": "Not enough stock is left.",
        "ne": "मौज्दात पर्याप्त छैन।",
    },
    "refused_insufficient_stock_line": {
        "en": "{sku}: {requested} wanted, {available} left.",
        "ne": "{sku}: {requested} माग्नुभयो, {available} बाँकी छ।",
    },
    "refused_minimum_quantity": {
        "en": "A quantity is too small or too large.",
        "ne": "कुनै संख्या सानो वा ठूलो भयो।",
    },
    "refused_minimum_quantity_line": {
        "en": "{sku}: from {minimum} to {maximum}, not {requested}.",
        "ne": "{sku}: {minimum} देखि {maximum} सम्म, {requested} होइन।",
    },
    "refused_otherwise": {"en": "{message}", "ne": "{message}"},
    "kept_for_credit_desk": {
        "en": "Your request was passed to our credit desk, which may still approve it.",
        "ne": "तपाईंको अनुरोध हाम्रो उधारो शाखामा पठाइएको छ; उनीहरूले स्वीकृत गर्न सक्छन्।",
    },
    "order_placed": {
        "en": "Order {number} is placed.",
        "ne": "अर्डर {number} भयो।",
    },
    "order_offered": {
        "en": "New order {number}. Reply ACCEPT {number}, or DECLINE {number} and the reason, by"
        " {deadline}.",
        "ne": "नयाँ अर्डर {number}। {deadline} भित्र ACCEPT {number}, वा DECLINE {number} र कारण"
        " लेख्नुहोस्।",
    },
    "order_accepted": {
        "en": "{vendor} has accepted order {number}.",
        "ne": "{vendor} ले अर्डर {number} स्वीकार गर्नुभयो।",
    },
    "order_dispatched": {
        "en": "Order {number} has left {vendor}.",
        "ne": "अर्डर {number} {vendor} बाट पठाइयो।",
    },
    "order_delivered": {
        "en": "Order {number} is delivered. Invoice {invoice}, {amount}, due on {due_date}.",
        "ne": "अर्डर {number} पुग्यो। बिल {invoice}, {amount}, तिर्ने मिति {due_date}।",
    },
    "order_cancelled": {
        "en": "Order {number} is cancelled: {reason}",
        "ne": "अर्डर {number} रद्द भयो: {reason}",
    },
    "order_unroutable": {
        "en": "No vendor could take order {number} yet. We are looking for one.",
        "ne": "अर्डर {number} लिने विक्रेता भेटिएको छैन। हामी खोज्दैछौं।",
    },
    "payment_recorded": {
        "en": "Received {amount} for {vendor}, {number}. Thank you. Balance: {balance}.",
        "ne": "{vendor} को लागि {amount} प्राप्त भयो, {number}। धन्यवाद। बाँकी: {balance}।",
    },
    "payment_reversed": {
        "en": "Payment {number} of {amount} for {vendor} was taken back. Balance: {balance}.",
        "ne": "{vendor} को {amount} को भुक्तानी {number} फिर्ता भयो। बाँकी: {balance}।",
    },
    "reminder_courtesy": {
        "en": "Namaste {shop}. A payment falls due soon:",
        "ne": "नमस्ते {shop}। भुक्तानी गर्ने दिन नजिकै छ:",
    },
    "reminder_courtesy_ask": {
        "en": "Thank you for paying on time.",
        "ne": "समयमै भुक्तानी गर्नुहुने भएकोमा धन्यवाद।",
    },
    "reminder_today": {
        "en": "Namaste {shop}. A payment is due:",
        "ne": "नमस्ते {shop}। भुक्तानी गर्ने दिन आयो:",
    },
    "reminder_today_ask": {
        "en": "Please pay today. Thank you.",
        "ne": "कृपया आजै भुक्तानी गर्नुहोस्। धन्यवाद।",
    },
    "reminder_friendly": {
        "en": "Namaste {shop}. Perhaps you missed this payment:",
        "ne": "नमस्ते {shop}। यो भुक्तानी छुटेको हुन सक्छ:",
    },
    "reminder_friendly_ask": {
        "en": "Please pay in the next days.",
        "ne": "कृपया केही दिनभित्र भुक्तानी गर्नुहोस्।",
    },
    "reminder_firm": {
        "en": "{shop}, this payment is overdue:",
        "ne": "{shop}, यो भुक्तानीको म्याद नाघिसक्यो:",
    },
    "reminder_firm_ask": {
        "en": "Please pay now, or tell us the day on which you will pay.",
        "ne": "कृपया अहिले भुक्तानी गर्नुहोस्, वा कुन दिन तिर्नुहुन्छ भन्नुहोस्।",
    },
    "reminder_last": {
        "en": "{shop}, last reminder before your credit stops:",
        "ne": "{shop}, उधारो रोकिनुअघिको अन्तिम सूचना:",
    },
    "reminder_last_ask": {
        "en": "New credit stops when a payment is more than {days} days late. Please pay before that.",
        "ne": "{days} दिनभन्दा बढी ढिला भए नयाँ उधारो रोकिन्छ। कृपया त्यसअघि भुक्तानी गर्नुहोस्।",
    },
    "reminder_hold": {
        "en": "{shop}, new orders on credit stop until late payments are made:",
        "ne": "{shop}, ढिला भएका भुक्तानी नगरेसम्म नयाँ उधारो रोकिन्छ:",
    },
    "reminder_hold_ask": {
        "en": "While a payment is more than {days} days late, new orders are for cash only. Pay these and"
        " your credit is open again.",
        "ne": "भुक्तानी {days} दिनभन्दा बढी ढिला हुँदा नयाँ अर्डर नगदमा मात्र हुन्छ। यी तिरेपछि उधारो"
        " फेरि खुल्छ।",
    },
    "reminder_ahead": {
        "en": "{invoice}, {vendor}: {amount}, due on {date}, in {days} days",
        "ne": "{invoice}, {vendor}: {amount}, म्याद {date}, {days} दिन बाँकी",
    },
    "reminder_due_today": {
        "en": "{invoice}, {vendor}: {amount}, due today, {date}",
        "ne": "{invoice}, {vendor}: {amount}, म्याद आज {date}",
    },
    "reminder_late": {
        "en": "{invoice}, {vendor}: {amount}, was due on {date}, {days} days late",
        "ne": "{invoice}, {vendor}: {amount}, म्याद {date}, {days} दिन ढिला",
    },
    "reminder_total": {"en": "Total to pay: {amount}", "ne": "जम्मा तिर्नुपर्ने: {amount}"},
    "reminder_reply": {
        "en": "Paid already, or is something wrong with an invoice? Please reply here.",
        "ne": "तिरिसक्नुभयो, वा बिलमा केही गल्ती छ भने यहीं जवाफ दिनुहोस्।",
    },
    "retailer_approved": {
        "en": "Your shop {shop} ({code}) is approved. You can order now.",
        "ne": "तपाईंको पसल {shop} ({code}) स्वीकृत भयो। अब अर्डर गर्न सक्नुहुन्छ।",
    },
    "offer_accepted": {
        "en": "You accepted order {number}. Please pack it.",
        "ne": "तपाईंले अर्डर {number} स्वीकार गर्नुभयो। कृपया प्याक गर्नुहोस्।",
    },
    "offer_declined": {
        "en": "You declined order {number}.",
        "ne": "तपाईंले अर्डर {number} अस्वीकार गर्नुभयो।",
    },
    "offer_not_yours": {
        "en": "There is no order {number} for you.",
        "ne": "तपाईंको लागि {number} नामको अर्डर छैन।",
    },
    "offer_not_open": {
        "en": "Order {number} waits for no answer: it is {status}.",
        "ne": "अर्डर {number} मा जवाफ चाहिँदैन: अवस्था {status}।",
    },
    "offer_reason_needed": {
        "en": "Please add the reason: DECLINE {number} and why.",
        "ne": "कृपया कारण लेख्नुहोस्: DECLINE {number} र कारण।",
    },
    "button_confirm": {"en": "Confirm", "ne": "पक्का"},
    "button_cash": {"en": "Cash on delivery", "ne": "नगद"},
    "button_ask": {"en": "Ask credit desk", "ne": "उधारो सोध्ने"},
    "button_cancel": {"en": "Cancel", "ne": "रद्द"},
    "button_accept": {"en": "Accept", "ne": "स्वीकार"},
    "button_decline": {"en": "Decline", "ne": "अस्वीकार"},
}


def say(language: str, text: str, /, **values: object) -> str:
    """Return one text in the language, English when it is neither of ours. Raises KeyError."""
    versions = TEXTS[text]
    return versions.get(language, versions[ENGLISH]).format(**values)
