-- Of who may see a store, what is said at one time ends the same whatever the ids of
-- the messages: the version that opens less wins.

-- +goose Up
-- The link by which a subject names an object at a time, or else the first after;
-- none if it was withdrawn, or if it is an owner and another was named at the same time.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION link_of(of_relation text, of_subject text, at text) RETURNS links LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
	l links;
BEGIN
	SELECT * INTO l FROM links x
	WHERE x.relation = of_relation AND x.subject = of_subject AND x.since <= at COLLATE "C" AND NOT x.hearsay
	ORDER BY x.since DESC, x.object DESC LIMIT 1;
	IF FOUND AND of_relation = 'owner' AND EXISTS (
		SELECT FROM links x
		WHERE x.relation = of_relation AND x.subject = of_subject AND NOT x.hearsay
		  AND x.since >= left(l.since, 27) COLLATE "C" AND x.since <= l.since AND x.object <> l.object
	) THEN
		RETURN NULL;
	END IF;
	IF NOT FOUND THEN
		SELECT * INTO l FROM links x
		WHERE x.relation = of_relation AND x.subject = of_subject AND x.since <= at COLLATE "C" AND x.hearsay
		ORDER BY x.since DESC, x.object DESC LIMIT 1;
	END IF;
	IF NOT FOUND THEN
		SELECT * INTO l FROM links x
		WHERE x.relation = of_relation AND x.subject = of_subject AND x.since > at COLLATE "C" AND x.object <> ''
		ORDER BY x.hearsay, x.since, x.object LIMIT 1;
	END IF;
	IF l.object = '' THEN
		RETURN NULL;
	END IF;
	RETURN l;
END $$;
-- +goose StatementEnd

-- A withdrawal is above what was named at its time, see facts.Version.Withdrawal.
UPDATE links
SET since = overlay(since PLACING '71' FROM 29 FOR 2)
WHERE object IN ('', '-price', '-prod') AND substr(since, 29, 2) < '71';

-- Access that a lost revocation left open ends. What sold meanwhile is resolved
-- anew by a rebuild.
UPDATE stores s
SET owner_user_id = now.owner
FROM (SELECT id, (link_of('owner', id, '~')).object AS owner FROM stores) now
WHERE s.id = now.id AND s.owner_user_id IS DISTINCT FROM now.owner;

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION link_of(of_relation text, of_subject text, at text) RETURNS links LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
	l links;
BEGIN
	SELECT * INTO l FROM links x
	WHERE x.relation = of_relation AND x.subject = of_subject AND x.since <= at COLLATE "C" AND NOT x.hearsay
	ORDER BY x.since DESC, x.object DESC LIMIT 1;
	IF NOT FOUND THEN
		SELECT * INTO l FROM links x
		WHERE x.relation = of_relation AND x.subject = of_subject AND x.since <= at COLLATE "C" AND x.hearsay
		ORDER BY x.since DESC, x.object DESC LIMIT 1;
	END IF;
	IF NOT FOUND THEN
		SELECT * INTO l FROM links x
		WHERE x.relation = of_relation AND x.subject = of_subject AND x.since > at COLLATE "C" AND x.object <> ''
		ORDER BY x.hearsay, x.since, x.object LIMIT 1;
	END IF;
	IF l.object = '' THEN
		RETURN NULL;
	END IF;
	RETURN l;
END $$;
-- +goose StatementEnd
