-- Finding people: a name is found however its apostrophes, hyphens and spaces
-- are written, and names are sorted as people expect, whatever the locale of the
-- database.

-- +goose NO TRANSACTION
-- +goose Up
-- The order of letters that all languages share (the root of CLDR): accents and
-- case count only where letters do not differ, and 10 comes after 9. It is
-- deterministic, so only texts of the same bytes are equal: what cursors need.
-- +goose StatementBegin
DO $$
BEGIN
	CREATE COLLATION IF NOT EXISTS names (provider = icu, locale = 'und-u-kn-true');
EXCEPTION WHEN feature_not_supported THEN
	RAISE EXCEPTION 'names are sorted by an ICU collation, which this database cannot have (%): it needs a Postgres built with ICU (--with-icu, as all packages and images of postgresql.org are) and a database of ENCODING UTF8', SQLERRM;
END $$;
-- +goose StatementEnd

-- What is sought and what is found are folded alike:
--
--   no case, no accents (nor points and vowel signs), no ligatures
--   no apostrophes and quotes of any kind: O’Neill is oneill
--   hyphens, white space, brackets, commas of any kind are one space: Jean‐Luc is jean luc
--   no space between two letters of a script that is written without any: 山田 太郎 is 山田太郎
--
-- Not STRICT, or it would be called where it can be inlined; of NULL it is NULL.
-- Most texts are ASCII, which is folded by less.
-- +goose StatementBegin
LOCK TABLE customers IN SHARE ROW EXCLUSIVE MODE; -- who writes has ended, or folds as below
CREATE OR REPLACE FUNCTION fold(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT
	RETURN CASE WHEN octet_length(t) = length(t) THEN
		btrim(regexp_replace(regexp_replace(lower(t COLLATE "C") COLLATE "default", '[''"`]', '', 'g'), '[-\s,;()<>[\]{}]+', ' ', 'g'))
	ELSE
		regexp_replace(btrim(regexp_replace(regexp_replace(
			replace(replace(replace(replace(replace(replace(replace(replace(replace(
				lower(normalize(
					regexp_replace(t, '[\u00b4\u0384\u1fbd\u1fbf\u1ffd\u1ffe]', '', 'g'), -- NFKD makes a space and a mark of them
					NFKD) COLLATE names) COLLATE "default",
				'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'ø', 'o'), 'ł', 'l'), 'đ', 'd'), 'ı', 'i'), 'ð', 'd'), 'ς', 'σ'),
			'['
				'\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670' -- marks
				'''"`\u00ab\u00b7\u00bb\u02b9-\u02bf\u02c8\u02ca\u02cb\u02ee\u055a\u05f3\u05f4\u2018-\u201f\u2032-\u2037\u2039\u203a\u275b-\u275e\u2e02-\u2e05\u2e09\u2e0a\u2e0c\u2e0d\u2e1c\u2e1d\u2e20\u2e21\u2e42\u301d-\u301f\ua78b\ua78c'
				'\u00ad\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef' -- not seen
			']+', '', 'g'),
			'['
				'-\u058a\u05be\u1400\u1806\u2010-\u2015\u2027\u2043\u2212\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u2e5d\u301c\u3030\u30a0\u30fb\U00010ead' -- between parts of a name
				'\s\u0085\u00a0\u115f\u1160\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u2800\u3000'
				',;()<>[\]{}\u060c\u061b\u3001\u3002\u3008-\u3011\u3014-\u301b'
			']+', ' ', 'g')),
			'(?<=[\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\U00020000-\U0003ffff]) (?=[\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\U00020000-\U0003ffff])',
			'', 'g')
	END;
-- +goose StatementEnd

-- What was folded before, some at a time.
-- +goose StatementBegin
DO $$
DECLARE
	last bigint := 0;
BEGIN
	LOOP
		WITH chunk AS (
			SELECT id, name, email
			FROM customers
			WHERE id > last
			ORDER BY id
			LIMIT 5000
			FOR NO KEY UPDATE -- so that no name is older than what a trigger wrote
		), folded AS (
			UPDATE customer_index i
			SET words = fold(concat_ws(' ', c.name, c.email))
			FROM chunk c
			WHERE c.id = i.customer_id
			  AND i.words <> fold(concat_ws(' ', c.name, c.email))
		)
		SELECT max(id) INTO last FROM chunk;
		EXIT WHEN last IS NULL;
		COMMIT;
	END LOOP;
END $$;
-- +goose StatementEnd

-- Who has no name is called by their address. The beginning of a name is enough
-- to sort by, and all that a row of an index has room for.
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_name_sorted ON customers (store_id, left(coalesce(nullif(name, ''), email), 200) COLLATE names, id);
-- +goose StatementBegin
DROP INDEX customers_name;
ALTER INDEX customers_name_sorted RENAME TO customers_name;
-- +goose StatementEnd

-- +goose Down
DROP INDEX customers_name;
CREATE INDEX customers_name ON customers (store_id, lower(coalesce(name, '')), id);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION fold(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
	RETURN translate(replace(replace(replace(
		regexp_replace(lower(normalize(t, NFKD)), '[\u0300-\u036f]', '', 'g'),
		'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'øłđıð', 'oldid');
-- +goose StatementEnd
UPDATE customer_index i
SET words = fold(concat_ws(' ', c.name, c.email))
FROM customers c
WHERE c.id = i.customer_id
  AND i.words <> fold(concat_ws(' ', c.name, c.email));
DROP COLLATION names;
