-- Sums of money are numeric and fail no query, whatever was added up.

-- +goose Up
-- A sum of amounts as bigint columns and the API hold it. Amounts are bounded when
-- they are read, so only what came before that can be beyond: it shows as the most.
CREATE FUNCTION minor_units(sum numeric) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
	RETURN LEAST(GREATEST(sum, -9223372036854775807), 9223372036854775807)::bigint;

-- Customers with sums that cannot be shown.
UPDATE customers c
SET spent = (
		SELECT coalesce(jsonb_agg(jsonb_set(m, '{amount}', to_jsonb(minor_units((m ->> 'amount')::numeric))) ORDER BY nth), '[]')
		FROM jsonb_array_elements(c.spent) WITH ORDINALITY AS s(m, nth)
	),
	refunded = (
		SELECT coalesce(jsonb_agg(jsonb_set(m, '{amount}', to_jsonb(minor_units((m ->> 'amount')::numeric))) ORDER BY nth), '[]')
		FROM jsonb_array_elements(c.refunded) WITH ORDINALITY AS s(m, nth)
	)
WHERE c.spent @? '$[*].amount ? (@ > 9223372036854775807 || @ < -9223372036854775807)'
   OR c.refunded @? '$[*].amount ? (@ > 9223372036854775807)';

-- +goose Down
DROP FUNCTION minor_units;
