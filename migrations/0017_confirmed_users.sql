-- The owner of a connected account can write any user's id into its metadata, and
-- would see whose it is. There an id counts only once the platform has reported
-- that user in the account's store.

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION reported_in(of_user text, of_store text) RETURNS boolean LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
BEGIN
	RETURN EXISTS (
		SELECT
		FROM (
			SELECT e.leans, moment(LEAST(e.enrolled_at, coalesce(e.first_said_at, version_time(e.version)))) AS at
			FROM enrollments e
			WHERE e.leans && ARRAY['user:' || of_user] AND e.version <> ''
			UNION ALL
			SELECT p.leans, moment(p.paid_at)
			FROM payments p
			WHERE p.leans && ARRAY['user:' || of_user] AND p.account = '' AND p.paid
			UNION ALL
			SELECT s.leans, moment(coalesce(s.started_at, s.checkout_at))
			FROM subscriptions s
			WHERE s.leans && ARRAY['user:' || of_user] AND s.account = '' AND s.ever_active
		) f
		CROSS JOIN LATERAL unnest(f.leans) AS k(key)
		WHERE of_store = CASE
			WHEN k.key LIKE 'store:%' THEN store_named(substr(k.key, 7), f.at)
			WHEN k.key LIKE 'product:%' THEN (product_home(substr(k.key, 9), f.at)).id
			WHEN k.key ~ '^(price|prod)_' THEN (product_home((link_to('stripe', k.key, f.at)).subject, f.at)).id
		END
	);
END $$;
-- +goose StatementEnd
COMMENT ON FUNCTION reported_in IS 'whether an enrollment, or a payment or subscription of the platform''s own account, names a user in a store';

-- +goose Down
DROP FUNCTION reported_in;
