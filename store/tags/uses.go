package tags

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Unused is nil, or a *pg.Conflict that names the segments whose rules name a thing: leaf
// is its kind, tag or segment.
func (s *Tags) Unused(ctx context.Context, storeID, leaf, id string) error {
	rows, err := s.Pool.Query(ctx, `
		SELECT name
		FROM segments
		WHERE store_id = $1
		  AND jsonb_path_exists(rule, ('$.**.' || $2 || ' ? (@ == $id)')::jsonpath, jsonb_build_object('id', $3::text))
		ORDER BY folded`, storeID, leaf, id)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		return err
	}
	return pg.Conflicts("in_use", "This %s is used by %s. Change or delete those first.", leaf, quoted(names))
}

// quoted lists names of segments.
func quoted(names []string) string {
	text := "the segment "
	if len(names) > 1 {
		text = "the segments "
	}
	return text + "“" + strings.Join(names, "”, “") + "”"
}
