package customers

import (
	"context"
	"slices"

	"rollcall/store/pg"
)

// savedSegment is a segment as rules need it.
type savedSegment struct {
	ID   string
	Kind string // dynamic or static
	Rule *string
}

// nobody is a rule that no one meets.
var nobody = Rule{Group: "any"}

// maxExpanded is how many conditions a rule may have with those of its segments. Every
// saved segment has fewer.
const maxExpanded = 200

// expand replaces the dynamic segments that a store's rule names by their rules. No one is
// in a segment that does not exist, or that contains itself. A rule that becomes too long
// is a *pg.BadParam.
func (s *Reader) expand(ctx context.Context, db pg.Querier, storeID string, r Rule) (Rule, error) {
	saved, err := s.savedSegments(ctx, db, storeID, r)
	if err != nil {
		return r, err
	}
	whole := expanded(r, saved, nil)
	if n := len(whole.Leaves()); n > maxExpanded {
		return r, pg.Refuse("rule", "has %d conditions with those of its segments, at most %d are allowed", n, maxExpanded)
	}
	return whole, nil
}

// savedSegments are the segments that a store's rule names, and those that their rules do.
func (s *Reader) savedSegments(ctx context.Context, db pg.Querier, storeID string, r Rule) (
	saved map[string]savedSegment, err error) {
	ids := r.Segments()
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := pg.Structs[savedSegment](ctx, db, `
		WITH RECURSIVE named AS (
			SELECT s.*
			FROM segments s
			WHERE s.store_id = $1 AND s.id = ANY($2)
			UNION
			SELECT s.*
			FROM named n
			CROSS JOIN LATERAL jsonb_path_query(n.rule, '$.**.segment') v(inner_id)
			JOIN segments s ON s.id = v.inner_id #>> '{}' AND s.store_id = $1
		)
		SELECT
			id,
			kind,
			rule::text
		FROM named`, storeID, ids)
	saved = map[string]savedSegment{}
	for _, one := range found {
		saved[one.ID] = one
	}
	return saved, err
}

// expanded is r with the rules of saved segments; around are the segments that r is in.
func expanded(r Rule, saved map[string]savedSegment, around []string) Rule {
	if r.Group != "" {
		all := Rule{Group: r.Group}
		for _, one := range r.Rules {
			all.Rules = append(all.Rules, expanded(one, saved, around))
		}
		return all
	}
	if r.About != "segment" {
		return r
	}
	id := r.Parts["id"][0]
	inner, static := inside(id, saved, around)
	if static {
		return r
	}
	return expanded(inner, saved, append(slices.Clone(around), id))
}

// inside is the rule of a segment; a static one has none.
func inside(id string, saved map[string]savedSegment, around []string) (rule Rule, static bool) {
	one, known := saved[id]
	if ready := ReadySegmentOf(id); ready != nil {
		one, known = savedSegment{id, "dynamic", &ready.Rule}, true
	}
	switch {
	case !known || slices.Contains(around, id):
		return nobody, false
	case one.Kind == "static":
		return Rule{}, true
	}
	rule, err := ParseRule(*one.Rule)
	if err != nil {
		return nobody, false
	}
	return rule, false
}

// CheckNamed refuses a rule, given as the parameter field, that names tags or segments that the store does not have:
// none of them would be everyone.
func (r Rule) CheckNamed(ctx context.Context, db pg.Querier, storeID, field string) error {
	ready := make([]string, len(ReadySegments))
	for i, s := range ReadySegments {
		ready[i] = s.ID
	}
	missing, err := pg.Column[string](ctx, db, `
		SELECT 'tag "' || id || '"'
		FROM unnest($2::text[]) n(id)
		WHERE NOT EXISTS (SELECT FROM tags t WHERE t.store_id = $1 AND t.id = n.id)
		UNION ALL
		SELECT 'segment "' || id || '"'
		FROM unnest($3::text[]) n(id)
		WHERE id <> ALL($4)
		  AND NOT EXISTS (SELECT FROM segments s WHERE s.store_id = $1 AND s.id = n.id)`,
		storeID, r.values("tag", "id"), r.Segments(), ready)
	if err == nil && len(missing) > 0 {
		err = pg.Refuse(field, "names the %s, which the store does not have", missing[0])
	}
	return err
}
