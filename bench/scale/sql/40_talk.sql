-- A conversation with every shop; two messages about every fourth order. The newest few wait to be answered or sent.
INSERT INTO whatsapp_conversations (id, phone, retailer_id, last_inbound_at, created_at)
SELECT r, u.phone, r, w.loaded_at - pg_temp.chance('spoke', r) * interval '30 days', w.opened_at
FROM plan_world w CROSS JOIN LATERAL generate_series(1, w.retailers) r JOIN users u ON u.id = 10 + w.vendors + r
ORDER BY r;

INSERT INTO whatsapp_messages (conversation_id, direction, provider_message_id, key, from_number, to_number, message_type, kind, body,
    payload, status, is_processed, sends, order_id, created_at, processed_at, sent_at)
SELECT o.retailer, d.direction, 'wamid.' || d.direction || md5(o.n::text), CASE d.direction WHEN 'OUT' THEN 'order:' || o.n END,
    CASE d.direction WHEN 'IN' THEN c.phone ELSE '+9779700000000' END,
    CASE d.direction WHEN 'IN' THEN '+9779700000000' ELSE c.phone END, 'text',
    CASE d.direction WHEN 'IN' THEN 'generic' ELSE 'order_confirmation' END,
    CASE d.direction WHEN 'IN' THEN 'chamal 2 sack, tel 5' ELSE 'Order placed. Thank you.' END, '{}',
    CASE WHEN d.direction = 'IN' THEN 'received' WHEN is_done THEN 'read' ELSE 'queued' END, is_done,
    CASE WHEN d.direction = 'OUT' AND is_done THEN 1 ELSE 0 END, CASE d.direction WHEN 'OUT' THEN o.n END, at,
    CASE WHEN is_done THEN at END, CASE WHEN is_done THEN at END
FROM plan_world w
JOIN plan_order o ON o.n % 4 = 0
JOIN whatsapp_conversations c ON c.id = o.retailer
CROSS JOIN LATERAL (VALUES ('IN', o.placed_at - interval '1 minute'), ('OUT', o.placed_at)) AS d (direction, at)
CROSS JOIN LATERAL (SELECT w.orders - o.n > 4 + w.orders * 0.002 AS is_done) done
ORDER BY d.at;
